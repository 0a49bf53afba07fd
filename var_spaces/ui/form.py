"""The form of a task as data: its fields, and how their values become a run spec and back.

Fields come from the task class and from the classes of all methods; nothing here knows any of
them by name, and nothing here knows the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from var_spaces import methods
from var_spaces.api import make_spec
from var_spaces.errors import VarSpacesError
from var_spaces.methods import Option
from var_spaces.spec import RunSpec
from var_spaces.validation import Bounds, bounds, shorten
from var_spaces.zoo.cards import Card

KINDS = ("guidance", "sampling", "cache", "decoding")
RUN_FIELDS = ("seed", "count", "first")
MAX_EXACT = 2**53  # the largest integer up to which JavaScript counts one by one

Role = Literal["model", "input", "run", "method", "parameter"]


@dataclass(frozen=True)
class Field:
    """One control of a form.

    Attributes:
        key: unique in the form: ``model``, ``inputs.class``, ``seed``, ``cache`` (which policy),
            ``cache.full.budget`` (a parameter of one policy).
        role: what it stands for.
        option: type, default, range and help.
        kind, method: of the method a parameter belongs to.
    """

    key: str
    role: Role
    option: Option
    kind: str = ""
    method: str = ""

    @property
    def word(self) -> str:
        """Key for :func:`var_spaces.ui.words.label`: without the name of the method."""
        return f"{self.kind}.{self.option.field}" if self.role == "parameter" else self.key


@dataclass(frozen=True)
class Form:
    """All fields of a task, in the order in which values are handed around."""

    task: str

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        found = [Field("model", "model", _text("model"))]
        inputs = methods.cli_options(methods.get("task", self.task))
        found += [Field(f"inputs.{option.field}", "input", option) for option in inputs]
        found += [Field(name, "run", _run_option(name)) for name in RUN_FIELDS]
        for kind in KINDS:
            found.append(Field(kind, "method", _text(kind), kind))
            for name in methods.names(kind):
                for option in methods.cli_options(methods.get(kind, name)):
                    key = f"{kind}.{name}.{option.field}"
                    found.append(Field(key, "parameter", option, kind, name))
        return tuple(found)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(field.key for field in self.fields)

    def spec(self, values: Sequence[Any]) -> RunSpec:
        """The run spec of a filled form; parameters of methods that are not chosen are left out.

        Raises:
            VarSpacesError: for a value that is refused.
        """
        given = dict(zip(self.keys, values, strict=True))
        data: dict[str, Any] = {"task": self.task, "inputs": {}}
        for field in self.fields:
            value = read(given[field.key], field.option)
            match field.role:
                case "input" if value is not None:
                    data["inputs"][field.option.field] = value
                case "model":
                    data["model"] = value or ""
                case "run" if value is not None:
                    data[field.key] = value
                case "method":
                    data[field.kind] = {"name": value}
                case "parameter" if value is not None and given[field.kind] == field.method:
                    data[field.kind][field.option.field] = value
        return RunSpec(**data)

    def values(self, spec: RunSpec) -> list[Any]:
        """The values that fill the form with a spec, in the order of ``fields``."""
        return [show(self._value(field, spec), field.option) for field in self.fields]

    def _value(self, field: Field, spec: RunSpec) -> Any:
        match field.role:
            case "model" | "run":
                return getattr(spec, field.key)
            case "input":
                return spec.inputs.get(field.option.field)
            case "method":
                return getattr(spec, field.kind)["name"]
        chosen = getattr(spec, field.kind)
        return (
            chosen[field.option.field] if chosen["name"] == field.method else field.option.default
        )

    def defaults(self, card: Card, keep: Mapping[str, Any] | None = None) -> list[Any]:
        """Values with the defaults of a model's card.

        Args:
            keep: values by key of a form for another model: its inputs stay where this model knows
                them, and so do seed and number of images.
        """
        keep = keep or {}
        inputs = {}
        for field in self.fields:
            names = card_choices(card, field)
            if names:
                kept = keep.get(field.key)
                inputs[field.option.field] = kept if kept in names else names[0]
        filled = dict(zip(self.keys, self.values(_spec(self.task, card, inputs)), strict=True))
        return list({**filled, **{key: keep[key] for key in RUN_FIELDS if key in keep}}.values())


def card_choices(card: Card | None, field: Field) -> tuple[str, ...]:
    """Names that a model offers for an input; empty if the input is free."""
    if card is None or field.role != "input":
        return ()
    return {"class": card.classes, "style": card.styles}.get(field.option.field, ())


def is_text(option: Option) -> bool:
    """Whether a control holds text: also lists, and integers that JavaScript would round."""
    exact = option.type is not int or (option.range.high or 0) <= MAX_EXACT
    return option.type is str or option.many or not exact


def show(value: Any, option: Option) -> Any:
    """A value as its control holds it; :func:`read` turns it back."""
    if value is None or not is_text(option):
        return value
    listed = value if isinstance(value, list | tuple) else (value,)
    return ", ".join(map(str, listed))


def read(value: Any, option: Option) -> Any:
    """What a control holds, as the type of its field; empty controls give None.

    Raises:
        VarSpacesError: for text that is no number.
    """
    if isinstance(value, str):
        value = value.strip() or None
    if value is None or option.type is bool:
        return value
    if option.many:
        parts = value.split(",") if isinstance(value, str) else value
        return [_convert(part, option) for part in parts]
    return _convert(value, option)


def _convert(value: Any, option: Option) -> int | float | str:
    try:
        converted = option.type(value)
        if option.type is int and not isinstance(value, str) and converted != value:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        kind = "a whole number" if option.type is int else "a number"
        allowed = f", {option.range}" if str(option.range) else ""
        name = option.flag.removeprefix("--")
        raise VarSpacesError(f"{name} = {shorten(value)} must be {kind}{allowed}.") from None
    return converted


def _spec(task: str, card: Card, inputs: Mapping[str, Any]) -> RunSpec:
    settings = {"class_" if key == "class" else key: value for key, value in inputs.items()}
    return make_spec(card.id, task=task, **settings)[0]


def _text(name: str) -> Option:
    return Option(name, f"--{name}", str, False, True, None, "", (), Bounds())


def _run_option(name: str) -> Option:
    field = RunSpec.model_fields[name]
    flag = "--n" if name == "count" else f"--{name}"
    help_ = field.description or ""
    return Option(name, flag, int, False, False, field.default, help_, (), bounds(field))
