"""Values as controls hold them, and as the fields of a run spec want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.methods import Option
from var_spaces.validation import shorten

KINDS = ("guidance", "sampling", "cache", "decoding")
MAX_EXACT = 2**53  # the largest integer up to which JavaScript counts one by one


def is_text(option: Option) -> bool:
    """Whether a control holds text.

    Also lists, integers that JavaScript would round, and numbers that may be left out, for which
    the browser's controls of numbers would put a zero.
    """
    exact = option.type is not int or (option.range.high or 0) <= MAX_EXACT
    return option.type is str or option.many or not exact or is_free_number(option)


def is_free_number(option: Option) -> bool:
    """Whether it is a number that may be left out."""
    return option.type in (int, float) and not option.required and option.default is None


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
        parts = [p.strip() for p in value.split(",")] if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            parts = [parts]
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


def shown_methods(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Methods of a run spec, by kind, as ``js/methods.js`` holds them."""
    return {kind: shown_method(kind, method) for kind, method in chosen.items()}


def shown_method(kind: str, method: Any) -> dict[str, Any]:
    """A method, by name or with parameters, completed with its defaults."""
    found = methods.dump(methods.parse(kind, method))
    options = methods.cli_options(methods.get(kind, found["name"]))
    # What a spec leaves out is as by default.
    held = {o.field: show(found.get(o.field, o.default), o) for o in options}
    return {"name": found["name"], **held}


def read_methods(held: Any) -> dict[str, dict[str, Any]]:
    """What the controls of all methods hold, as parts of a run spec; what is empty is left out.

    Raises:
        VarSpacesError: for an unknown method or a value of the wrong type.
    """
    if not isinstance(held, Mapping):
        raise VarSpacesError(f"methods = {shorten(held)} must be one method of each kind.")
    return {kind: _read_method(kind, held.get(kind)) for kind in KINDS}


def _read_method(kind: str, held: Any) -> dict[str, Any]:
    if not isinstance(held, Mapping) or not isinstance(held.get("name"), str):
        raise VarSpacesError(f"{kind} = {shorten(held)} must name a method.")
    options = {o.field: o for o in methods.cli_options(methods.get(kind, held["name"]))}
    found: dict[str, Any] = {"name": held["name"]}
    for key, value in held.items():
        if key != "name":  # a parameter that the method does not have is refused by the run spec
            given = read(value, options[key]) if key in options else value
            found |= {} if given is None else {str(key): given}
    return found
