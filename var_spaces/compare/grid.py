"""X/Y grids: one run per pair of values of two parameters, everything else equal.

A parameter is a path in the run spec: ``seed``, ``model``, ``cache`` (which policy),
``guidance.scale``, ``inputs.class``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from var_spaces import methods
from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.methods import Option
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan
from var_spaces.validation import shorten

MAX_CELLS = 36
KINDS = ("guidance", "sampling", "cache", "decoding")


@dataclass(frozen=True)
class Axis:
    """A parameter and the values it takes."""

    path: str
    values: tuple[Any, ...]


def paths(spec: RunSpec) -> list[str]:
    """Parameters of a run that can vary."""
    found = ["seed", "model"]
    found += [f"inputs.{option.field}" for option in _options("task", spec) if not option.content]
    found += [f"inputs.{o.field}" for o in _options("task", spec) if o.content == "prompt"]
    for kind in KINDS:
        found.append(kind)
        found += [f"{kind}.{option.field}" for option in _options(kind, spec)]
    return found


def axis(spec: RunSpec, path: str, text: str) -> Axis:
    """An axis from values that somebody typed, separated by commas; by ``;`` if any is a list.

    Raises:
        VarSpacesError: for an unknown parameter, or a value of the wrong type.
    """
    if path not in paths(spec):
        near = did_you_mean(path, paths(spec))
        raise VarSpacesError(f"No parameter {shorten(path)} of this run.{near}")
    separator = ";" if ";" in text or _is_many(spec, path) else ","
    parts = [part.strip() for part in text.split(separator) if part.strip()]
    if not parts:
        raise VarSpacesError(f"Give values for {path}, separated by '{separator}'.")
    return Axis(path, tuple(_value(spec, path, part) for part in parts))


def cells(spec: RunSpec, x: Axis, y: Axis | None = None) -> list[list[RunSpec]]:
    """The runs, row by row: ``y`` downwards, ``x`` to the right.

    Raises:
        VarSpacesError: if there are too many, or one cannot run; says which.
    """
    down: Sequence[Any] = y.values if y else (None,)
    if len(down) * len(x.values) > MAX_CELLS:
        raise VarSpacesError(
            f"A grid of {len(x.values)} x {len(down)} is too large: at most {MAX_CELLS} cells."
        )
    if y and y.path == x.path:
        raise VarSpacesError(f"Both axes vary {x.path}: choose two parameters.")
    rows = []
    for below in down:
        row = []
        for right in x.values:
            changes = [(x.path, right), *([(y.path, below)] if y else [])]
            cell = spec
            # A method before its parameters: choosing it sets them to their defaults.
            for path, value in sorted(changes, key=lambda change: "." in change[0]):
                cell = varied(cell, path, value)
            row.append(plan(cell).spec)
        rows.append(row)
    return rows


def varied(spec: RunSpec, path: str, value: Any) -> RunSpec:
    """The same run with one parameter changed.

    Raises:
        VarSpacesError: if the value is refused.
    """
    part, _, name = path.partition(".")
    if not name:
        return spec.replace(**{part: {"name": value} if part in KINDS else value})
    # Of those of a method; a spec leaves some out while they are unset.
    kind, owner = ("task", spec.task) if part == "inputs" else (part, getattr(spec, part)["name"])
    if name not in {option.field for option in _options(kind, spec)}:
        raise VarSpacesError(f"{owner} has no parameter '{name}'.")
    return spec.replace(**{part: {**getattr(spec, part), name: value}})


def _options(kind: str, spec: RunSpec) -> list[Option]:
    name = spec.task if kind == "task" else getattr(spec, kind)["name"]
    return methods.cli_options(methods.get(kind, name))


def _option(spec: RunSpec, path: str) -> Option | None:
    part, _, name = path.partition(".")
    kind = "task" if part == "inputs" else part
    return next((o for o in _options(kind, spec) if o.field == name), None) if name else None


def _is_many(spec: RunSpec, path: str) -> bool:
    option = _option(spec, path)
    return option is not None and option.many


def _value(spec: RunSpec, path: str, text: str) -> Any:
    option = _option(spec, path)
    kind = int if path == "seed" else option.type if option else str
    try:
        if option and option.many:
            return [kind(part) for part in text.split(",")]
        if kind is bool:
            return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        what = {int: "a whole number", float: "a number", bool: "yes or no"}[kind]
        raise VarSpacesError(f"{path} = {shorten(text)} must be {what}.") from None
