"""All parameters of a method as one line of text, ``budget=0.1, window=8``: for forms that have
room for one control per method.

Items of a list are separated by spaces: ``scale=1 1.5 2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from var_spaces import methods
from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.methods import Option
from var_spaces.validation import shorten

WORDS = {"yes": True, "true": True, "no": False, "false": False}


def written(kind: str, method: Mapping[str, Any]) -> str:
    """The parameters of a method of a run spec; those without a value are left out."""
    parts = []
    for option in methods.cli_options(methods.get(kind, method["name"])):
        value = method.get(option.field, option.default)
        if value is None or value in ((), [], ""):
            continue
        parts.append(f"{option.field}={_text(value)}")
    return ", ".join(parts)


def parsed(kind: str, name: str, text: str) -> dict[str, Any]:
    """The parameters that such a line gives; what it leaves out has its default.

    Raises:
        VarSpacesError: for an unknown parameter or a value of the wrong type.
    """
    cls = methods.get(kind, name)
    known = {option.field: option for option in methods.cli_options(cls)}
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in known:
            listed = ", ".join(known) or "none"
            near = did_you_mean(key, known)
            raise VarSpacesError(
                f"{cls.described_as()} has no parameter {shorten(key)}.{near} Parameters: {listed}."
            )
        if not equals or not value:
            raise VarSpacesError(f"Write {key}=VALUE, not {shorten(part)}.")
        option = known[key]
        items = [_value(option, item) for item in (value.split() if option.many else [value])]
        found[key] = items if option.many else items[0]
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(_text, value)) if isinstance(value, tuple | list) else str(value)


def _value(option: Option, text: str) -> Any:
    try:
        return WORDS[text.lower()] if option.type is bool else option.type(text)
    except (ValueError, KeyError):
        kind = {int: "a whole number", float: "a number", bool: "yes or no"}[option.type]
        raise VarSpacesError(f"{option.field} = {shorten(text)} must be {kind}.") from None
