"""The frozen pydantic base of methods, run specs and run records, and its one-line refusals."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
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
    outer, last = error["loc"][:-1], error["loc"][-1:]
    beside = [item for item in errors if item["loc"][:-1] == outer]
    value = f"{_path(outer)} = {shorten(error['input'])}"
    if outer and last[0] in MEMBERS:  # of a field of several types, each refused for its own reason
        named = [MEMBERS[item["loc"][-1]] for item in beside if item["loc"][-1] in MEMBERS]
        return f"{value} must be {' or '.join(named)}."
    if outer and error["type"] == "missing" and isinstance(last[0], int):
        return f"{value} must have {beside[-1]['loc'][-1] + 1} values."
    where = _path(error["loc"])
    kind = error["type"]
    if kind == "value_error":
        reason = str(error["ctx"]["error"])
        return reason if not where or reason.startswith(f"{where} ") else f"{where}: {reason}"
    if kind == "extra_forbidden":
        known = cls.field_names()
        listed = ", ".join(sorted(known)) or "none"
        return f"unknown field '{where}'.{did_you_mean(where, known)} Fields: {listed}."
    if kind == "missing":
        return f"the field '{where}' is missing."
    value = f"{where} = {shorten(error['input'])}"
    if kind.startswith(("greater_than", "less_than")):
        return f"{value} is out of range: allowed is {_allowed(error, cls)}."
    if kind == "string_too_long":
        most = error["ctx"]["max_length"]
        return f"{where} has {len(error['input'])} characters: allowed are at most {most}."
    if kind == "too_long":
        return f"{value} must have at most {error['ctx']['max_length']} values."
    if kind == "literal_error":
        return f"{value} is unknown: allowed is {error['ctx']['expected']}."
    expected = JSON_TYPES.get(kind.split("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float")):
        return f"{value} must be {expected}."
    return f"{value}: {error['msg'].rstrip('.')}."


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
