"""Methods on a machine without pydantic: their defaults and their code, nothing is validated.

Training machines have none (see ``tests/test_imports.py``), and measuring needs the methods. What
they get here is written in this package, so there is nothing to refuse.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

MISSING = object()


class FieldInfo:
    """A field with its default."""

    def __init__(self, default: Any = MISSING, **said: Any) -> None:
        self.default = None if default in (MISSING, ...) else default
        self.description, self.alias = said.get("description"), said.get("alias")
        self.json_schema_extra = said.get("json_schema_extra")
        self.metadata: list[Any] = []


class BaseModel:
    """Fields by their annotations; values are set once."""

    model_fields: Mapping[str, FieldInfo] = {}

    def __init_subclass__(cls, **_: Any) -> None:
        own = {}
        for name, annotation in vars(cls).get("__annotations__", {}).items():
            if "ClassVar" not in str(annotation) and not name.startswith("_"):
                given = vars(cls).get(name, MISSING)
                own[name] = given if isinstance(given, FieldInfo) else FieldInfo(given)
        cls.model_fields = {**cls.model_fields, **own}

    def __init__(self, **given: Any) -> None:
        names = {field.alias or name: name for name, field in self.model_fields.items()}
        values = {name: field.default for name, field in self.model_fields.items()}
        vars(self).update(values | {names[key]: value for key, value in given.items()})

    def model_copy(self, update: Mapping[str, Any] | None = None) -> Any:
        copy = object.__new__(type(self))
        vars(copy).update(vars(self) | dict(update or {}))
        return copy

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields}


class Validator:
    """Stands in an annotation; it is never called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


def private(default: Any = None) -> Any:
    """An attribute that is no field: its default."""
    return default


def unchanged(*_: Any, **__: Any) -> Callable[[Any], Any]:
    """A decorator that does nothing."""
    return lambda function: function


def install() -> bool:
    """Take pydantic's place if it is absent; says whether that was needed."""
    if "pydantic" in sys.modules:
        absent = sys.modules["pydantic"] is None
    else:
        absent = importlib.util.find_spec("pydantic") is None
    if absent:
        module, fields = types.ModuleType("pydantic"), types.ModuleType("pydantic.fields")
        fields.FieldInfo = FieldInfo
        module.BaseModel, module.ConfigDict, module.Field = BaseModel, dict, FieldInfo
        module.ValidationError = type("ValidationError", (Exception,), {})
        module.PrivateAttr = private
        module.AfterValidator = module.BeforeValidator = Validator
        module.model_validator = module.field_validator = unchanged
        sys.modules |= {"pydantic": module, "pydantic.fields": fields}
    return absent
