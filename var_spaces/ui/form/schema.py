"""What methods there are, for the browser: it makes the controls of those that are chosen.

``js/methods.js`` reads it. Like all of the page it comes from the classes of the methods alone.
"""

from __future__ import annotations

from typing import Any

from var_spaces import methods
from var_spaces.methods import Option
from var_spaces.ui.form.values import KINDS, is_free_number, is_text, show
from var_spaces.ui.words import label, plain_explanation, sentence

MAX_STEPS = 1000  # finer ranges are typed, not dragged
FREE = "automatic"  # in a control of a number that is left out


def schema() -> dict[str, Any]:
    """Kinds with their methods, those with their parameters, in the order of the page."""
    found: dict[str, Any] = {kind: _kind(kind) for kind in KINDS}
    return {**found, "paper": "Paper"}


def _kind(kind: str) -> dict[str, Any]:
    return {
        "label": label(kind),
        "methods": [_method(kind, name) for name in methods.names(kind)],
    }


def _method(kind: str, name: str) -> dict[str, Any]:
    cls = methods.get(kind, name)
    return {
        "name": name,
        "title": cls.title,
        "note": plain_explanation(cls),
        "paper": cls.paper if cls.paper.startswith("https://") else "",
        "fields": [_field(kind, option) for option in methods.cli_options(cls)],
    }


def _field(kind: str, option: Option) -> dict[str, Any]:
    low, high = option.range.low, option.range.high
    step = 1 if option.type is int else step_of(low, high)
    choices = list(option.choices)
    if option.content:  # the name of another method
        choices = list(methods.names(option.content))
    if choices:
        control: dict[str, Any] = {"kind": "choice", "choices": choices}
    elif is_text(option):
        control = {"kind": "text", "free": FREE if is_free_number(option) else ""}
    elif option.type is bool:
        control = {"kind": "switch"}
    else:
        fine = None in (low, high) or (high - low) / step > MAX_STEPS
        # A step of its own would refuse what is typed between two steps.
        control = {"kind": "number" if fine else "slider", "low": low, "high": high}
        control["step"] = 1 if option.type is int else "any" if fine else step
    return {
        "name": option.field,
        "label": label(f"{kind}.{option.field}"),
        "help": sentence(option.help),
        "term": _term(kind, option.field),
        "default": show(option.default, option),
        **control,
    }


def _term(kind: str, field: str) -> str:
    """The explanation of a parameter: its own, or that of what its name says."""
    if field == "scale":
        return kind  # the strength of a guidance, not a scale of the picture
    drafted = field.startswith("refiner") or field in ("drafters", "drafted")
    return "drafter" if drafted else field


def step_of(low: float | None, high: float | None) -> float:
    """A round step of about a hundredth of the range, and no coarser than people type."""
    span = (high - low) if None not in (low, high) else 1.0
    return 0.1 if span > 10 else 0.01
