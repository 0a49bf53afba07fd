"""The frozen pydantic base of methods, run specs and run records, and its one-line refusals."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from var_spaces.errors import InputError, VarSpacesError, did_you_mean
from var_spaces.ranges import Bounds

JSON_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
}
MEMBERS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}


class FrozenDict(dict):
    """A dict that cannot change, so that whatever holds it stays what its id says it is."""

    def _refuse(self, *args: object, **kwargs: object) -> None:
        raise TypeError("This mapping is frozen; build a new one instead.")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = _refuse
    pop = popitem = clear = _refuse

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple:
        return FrozenDict, (dict(self),)  # pickle and deepcopy would fill item by item


def freeze(value: Any) -> Any:
    """Return JSON-like ``value`` with lists as tuples and dicts as :class:`FrozenDict`."""
    if isinstance(value, Mapping):
        return FrozenDict((key, freeze(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


class FrozenModel(BaseModel):
    """Immutable, refuses unknown fields, and says what is wrong in one line.

    Validation is strict: text is no number and ``True`` is no integer; integers are welcome in
    float fields and lists in tuple fields (JSON has no tuples).

    Raises:
        VarSpacesError: when a value is refused.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**freeze(data))
        except ValidationError as error:
            raise refusal(error, type(self)) from None

    @classmethod
    def check_some(cls, data: Mapping[str, Any]) -> None:
        """Refuse fields that do not exist and values they may not have; others may be missing."""
        try:
            cls.__pydantic_validator__.validate_python(freeze(data), self_instance=cls.__new__(cls))
        except ValidationError as error:
            if refused := refusal(error, cls, missing=False):
                raise refused from None

    @classmethod
    def described_as(cls) -> str:
        """How error messages call this class."""
        return cls.__name__

    @classmethod
    def asks_for(cls, field: str) -> str:
        """The sentence that asks a person for a field; empty where no person is to give it."""
        return ""

    @classmethod
    def field_names(cls) -> list[str]:
        """Names of the fields as they are written in JSON."""
        return [field.alias or name for name, field in cls.model_fields.items()]


def bounds(field: FieldInfo) -> Bounds:
    """Range of a field from its ``ge``, ``gt``, ``le``, ``lt`` (also inside ``X | None``)."""
    found: dict[str, float] = {}
    for item in _metadata(field):
        for key in ("ge", "gt", "le", "lt"):
            value = getattr(item, key, None)
            if value is not None:
                found[key] = value
    return Bounds(
        low=found.get("gt", found.get("ge")),
        high=found.get("lt", found.get("le")),
        open_low="gt" in found,
        open_high="lt" in found,
    )


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    if get_origin(field.annotation) in (Union, types.UnionType):
        for member in get_args(field.annotation):
            if get_origin(member) is Annotated:
                for item in member.__metadata__:
                    yield from getattr(item, "metadata", None) or [item]


def refusal(
    error: ValidationError, cls: type[FrozenModel], missing: bool = True
) -> VarSpacesError | None:
    """Pydantic's report as one line: what was wrong, what is allowed, how to fix it.

    Args:
        missing: whether a field that is not there is wrong; else there may be nothing to refuse.
    """
    errors = [e for e in error.errors(include_url=False) if missing or e["type"] != "missing"]
    if not errors:
        return None
    errors.sort(key=lambda item: item["type"] != "extra_forbidden")  # a typo explains the rest
    asked = [found for item in errors if (found := _asked(item, cls))]
    if asked and _asked(errors[0], cls):
        return InputError(" ".join(map(str, asked)), [one for a in asked for one in a.fields])
    places = {item["loc"][:1] for item in errors}  # a field of several types fails once for each
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return VarSpacesError(f"{cls.described_as()}: {_explain(errors, cls)}{more}")


def _asked(error: Mapping[str, Any], cls: type[FrozenModel]) -> InputError | None:
    """What asks a person for what is not there, or was given twice."""
    inner = error.get("ctx", {}).get("error")
    if isinstance(inner, InputError):
        return inner
    if len(error["loc"]) != 1 or not (error["type"] == "missing" or error["input"] is None):
        return None
    name = str(error["loc"][0])
    said = cls.asks_for(name)
    return InputError(said, [[name]]) if said else None


def _explain(errors: Sequence[Mapping[str, Any]], cls: type[FrozenModel]) -> str:
    error = errors[0]
    if inside := _inside(errors):
        return inside
    say = next((say for kinds, say in SENTENCES.items() if error["type"].startswith(kinds)), None)
    return say(error, cls) if say else _of_type(error, cls)


def _inside(errors: Sequence[Mapping[str, Any]]) -> str:
    """What a field of several types may hold, each of which refused for its own reason; of a list
    that is too short, how many; empty for other errors."""
    error = errors[0]
    outer, last = error["loc"][:-1], error["loc"][-1:]
    if not outer:
        return ""
    beside = [item["loc"][-1] for item in errors if item["loc"][:-1] == outer]
    value = f"{_path(outer)} = {shorten(error['input'])}"
    if last[0] in MEMBERS:
        return f"{value} must be {' or '.join(MEMBERS[one] for one in beside if one in MEMBERS)}."
    if error["type"] == "missing" and isinstance(last[0], int):
        return f"{value} must have {beside[-1] + 1} values."
    return ""


def _reason(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    reason, where = str(error["ctx"]["error"]), _path(error["loc"])
    return reason if not where or reason.startswith(f"{where} ") else f"{where}: {reason}"


def _unknown(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    where, known = _path(error["loc"]), cls.field_names()
    listed = ", ".join(sorted(known)) or "none"
    return f"unknown field '{where}'.{did_you_mean(where, known)} Fields: {listed}."


def _missing(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    return f"the field '{_path(error['loc'])}' is missing."


def _out_of_range(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    return f"{_given(error)} is out of range: allowed is {_allowed(error, cls)}."


def _long_text(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    most, length = error["ctx"]["max_length"], len(error["input"])
    return f"{_path(error['loc'])} has {length} characters: allowed are at most {most}."


def _long_list(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    return f"{_given(error)} must have at most {error['ctx']['max_length']} values."


def _no_choice(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    return f"{_given(error)} is unknown: allowed is {error['ctx']['expected']}."


def _of_type(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    """What a value must be; for errors that nothing here knows, what pydantic says."""
    kind = error["type"]
    expected = JSON_TYPES.get(kind.split("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float")):
        return f"{_given(error)} must be {expected}."
    return f"{_given(error)}: {error['msg'].rstrip('.')}."


SENTENCES: Mapping[str | tuple[str, ...], Callable[..., str]] = {
    "value_error": _reason,
    "extra_forbidden": _unknown,
    "missing": _missing,
    ("greater_than", "less_than"): _out_of_range,
    "string_too_long": _long_text,
    "too_long": _long_list,
    "literal_error": _no_choice,
}
"""What is said of an error, by how pydantic's name of it begins."""


def _given(error: Mapping[str, Any]) -> str:
    return f"{_path(error['loc'])} = {shorten(error['input'])}"


def _path(loc: tuple[int | str, ...]) -> str:
    """``("schedule", 2, 0)`` -> ``schedule[2][0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")[:80]


def _allowed(error: Mapping[str, Any], cls: type[FrozenModel]) -> str:
    for name, field in cls.model_fields.items():
        if error["loc"] in ((name,), (field.alias,)):
            return str(bounds(field))
    return error["msg"].removeprefix("Input should be ")


def shorten(value: object, limit: int = 40) -> str:
    """``repr`` of a refused value, cut to one short line."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
