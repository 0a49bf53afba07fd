"""Methods: everything that is "one file", and the lazy registry that finds them.

A cache policy, a decoding strategy, a guidance rule, a sampler, a task: one file somewhere in this
package, with one frozen pydantic class whose fields are its parameters::

    @register
    class SlidingWindow(CachePolicy):
        kind, name = "cache", "sliding-window"      # ``kind`` may come from the base class
        title = "Keep the last scales only"
        paper = "https://arxiv.org/abs/..."
        scales: int = Field(3, ge=1, le=64, description="scales that stay in the cache")

Validation, command-line flags, controls of the app and the JSON schema all come from that class.
Nothing else is edited: files are found by reading their source, so listing the methods imports
none of them (and no torch). A file outside this package registers its class when it is imported.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from var_spaces.discovery import LABELS, Entry, entry, scan
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.ranges import Bounds
from var_spaces.validation import FrozenModel, bounds, shorten


class Method(FrozenModel):
    """Base class of all methods; fields are parameters, class variables say what it is."""

    kind: ClassVar[str]  # "cache", "decoding", "guidance", "sampling", "task", ...
    name: ClassVar[str]  # how specs and flags call it: lower-case words joined by "-"
    title: ClassVar[str]  # plain words for people
    paper: ClassVar[str] = ""  # link to the source

    @classmethod
    def described_as(cls) -> str:
        return f"{cls.kind} '{cls.name}'"


# --- the registry -------------------------------------------------------------------------------

_lock = RLock()
_entries: dict[str, dict[str, Entry]] = {}  # kind -> name -> entry
_classes: dict[str, type[Method]] = {}  # by target, once imported
_scanned = False


def register(cls: type[Method]) -> type[Method]:
    """Class decorator: make a method known under its ``kind`` and ``name``.

    Raises:
        VarSpacesError: if a label is missing or another class has the same kind and name.
    """
    labels = {label: getattr(cls, label, None) for label in LABELS}
    found = entry(labels, f"{cls.__module__}:{cls.__qualname__}")
    with _lock:
        _add(found, _table())
        _classes[found.target] = cls
    return cls


def kinds() -> list[str]:
    """Sorted kinds of methods that exist."""
    with _lock:
        return sorted(_table())


def names(kind: str) -> list[str]:
    """Sorted names of the methods of one kind."""
    return [found.name for found in entries(kind)]


def entries(kind: str) -> list[Entry]:
    """What is known about the methods of one kind without importing them, sorted by name.

    Raises:
        UnknownName: if there is no such kind; names the nearest one.
    """
    with _lock:
        table = _table()
        if kind not in table:
            listed = ", ".join(sorted(table))
            raise UnknownName(f"Unknown kind {shorten(kind)}.{_near(kind, table)} Kinds: {listed}.")
        return sorted(table[kind].values(), key=lambda found: found.name)


def get(kind: str, name: str) -> type[Method]:
    """Return the class of a method; its module is imported on first use.

    Raises:
        UnknownName: if there is no such method; names the nearest one.
    """
    known = {found.name: found for found in entries(kind)}
    if not isinstance(name, str) or name not in known:
        listed = ", ".join(known)
        raise UnknownName(
            f"Unknown {kind} {shorten(name)}.{_near(name, known)} Available: {listed}."
        )
    target = known[name].target
    if target not in _classes:
        # Not under our lock: the import system has locks of its own, and two orders would deadlock.
        importlib.import_module(target.partition(":")[0])
    try:
        return _classes[target]
    except KeyError:
        raise VarSpacesError(f"{target} did not register itself when imported.") from None


def describe(kind: str, name: str) -> dict[str, Any]:
    """Return kind, name, title, paper and the JSON schema of the parameters of a method."""
    cls = get(kind, name)
    parameters = cls.model_json_schema().get("properties", {})
    return {**{label: getattr(cls, label) for label in LABELS}, "parameters": parameters}


def parse(kind: str, value: Mapping[str, Any] | str | Method) -> Method:
    """Build a method from ``{"name": ..., **parameters}``, from its bare name, or return it.

    Raises:
        UnknownName: for an unknown kind or name.
        VarSpacesError: for an unknown, missing or refused parameter.
    """
    match value:
        case Method() if value.kind == kind:
            return value
        case str():
            return get(kind, value)()
        case Mapping() if "name" in value and all(isinstance(key, str) for key in value):
            return get(kind, value["name"])(**{k: v for k, v in value.items() if k != "name"})
    raise VarSpacesError(
        f'{shorten(value)} does not describe a {kind} method: write {{"name": ..., parameters}}.'
    )


def dump(method: Method) -> dict[str, Any]:
    """Return ``{"name": ..., **parameters}``; ``parse`` turns it back into an equal method.

    A parameter that only some models have use for (see ``needs`` of :class:`Option`) is left out
    while it is unset, so that giving more of them to a task changes no id of other runs; so is one
    that came later (``json_schema_extra={"later": True}``) while it has its default.
    """
    unset = {
        field.alias or name
        for name, field in type(method).model_fields.items()
        if _left_out(field.json_schema_extra or {}, getattr(method, name), field.default)
    }
    values = method.model_dump(mode="json", by_alias=True)
    return {"name": method.name, **{k: v for k, v in values.items() if k not in unset}}


def _left_out(extra: Mapping[str, Any], value: Any, default: Any) -> bool:
    return (bool(extra.get("needs")) and value is None) or (extra.get("later") and value == default)


def _table() -> dict[str, dict[str, Entry]]:
    """The registry, filled from the source files on first use. Call it under the lock."""
    global _scanned
    if not _scanned:
        found: dict[str, dict[str, Entry]] = {}
        for item in scan(Path(__file__).resolve().parent.parent):
            _add(item, found)
        _entries.update(found)
        _scanned = True
    return _entries


def _add(new: Entry, table: dict[str, dict[str, Entry]]) -> None:
    known = table.get(new.kind, {}).get(new.name)
    if known and known.target != new.target:
        raise VarSpacesError(
            f"The {new.kind} '{new.name}' exists twice: {known.target} and {new.target}. "
            "Give one of them another name."
        )
    table.setdefault(new.kind, {})[new.name] = new


def _near(word: object, known: Mapping[str, object]) -> str:
    return did_you_mean(word, known) if isinstance(word, str) else ""


# --- parameters as flags and controls -------------------------------------------------------------

# Contents of inputs that are pictures: the value is a content hash, a file stands for it.
PICTURES = ("picture", "mask")

# Parameters of these kinds are flags of a run: "--guidance-scale", but plain "--top-k".
FLAG_PREFIXES = {
    "task": "",
    "sampling": "",
    "guidance": "guidance",
    "cache": "cache",
    "decoding": "decoding",
}


@dataclass(frozen=True)
class Option:
    """One parameter of a method, ready for a command line or a form."""

    field: str  # name in JSON
    flag: str  # "--top-k"
    type: type  # bool, int, float or str: of the value, or of each item when ``many``
    many: bool  # a sequence
    required: bool
    default: Any  # None when required or unset
    help: str
    choices: tuple[Any, ...]  # empty: free
    range: Bounds
    content: str = ""  # what text stands for: "picture" or "mask" (content hashes), "prompt",
    # a kind of methods whose name it is
    needs: str = ""  # capability without which a model has no use for it


def cli_options(cls: type[Method]) -> list[Option]:
    """Describe the fields of a method: bool, int, float, str, ``Literal``, and tuples of them.

    ``Field(json_schema_extra={"content": ..., "needs": ...})`` says what no type can say.

    Raises:
        VarSpacesError: for a field of another type.
    """
    found = []
    for name, field in cls.model_fields.items():
        kind, many, choices = _unpack(field.annotation)
        extra = field.json_schema_extra or {}
        if kind not in (bool, int, float, str):
            raise VarSpacesError(f"{cls.described_as()}: the field '{name}' has no plain type.")
        key = field.alias or name
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        found.append(
            Option(
                field=key,
                flag="--" + key.replace("_", "-"),
                type=kind,
                many=many,
                required=field.is_required(),
                default=default,
                help=field.description or "",
                choices=choices,
                range=bounds(field),
                content=extra.get("content", ""),
                needs=extra.get("needs", ""),
            )
        )
    return found


def _unpack(annotation: Any) -> tuple[Any, bool, tuple[Any, ...]]:
    """Type of an annotation, whether it is a sequence of it, and its choices."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _unpack(members[0])
    if origin is Literal:
        return type(members[0]), False, members
    if origin in (Union, types.UnionType):
        inner = [_unpack(member) for member in members if member is not type(None)]
        # text stands for any of several types: "int | str" takes what is typed as it comes
        return inner[0] if len(inner) == 1 else (str, False, ())
    if origin is tuple:
        kind, _, choices = _unpack(members[0])
        return kind, True, choices
    return annotation, False, ()
