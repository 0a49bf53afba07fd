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

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar

from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.validation import FrozenModel, shorten

PACKAGES = ("var_spaces", "leaderboard")  # searched with all their sub-packages
LABELS = ("kind", "name", "title", "paper")
NAME_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Method(FrozenModel):
    """Base class of all methods; fields are parameters, class variables say what it is."""

    kind: ClassVar[str]  # "cache", "decoding", "guidance", "sampling", "task", ...
    name: ClassVar[str]  # how specs and flags call it: lower-case words joined by "-"
    title: ClassVar[str]  # plain words for people
    paper: ClassVar[str] = ""  # link to the source

    @classmethod
    def described_as(cls) -> str:
        return f"{cls.kind} '{cls.name}'"


@dataclass(frozen=True)
class Entry:
    """A method that exists, whether or not its module has been imported."""

    kind: str
    name: str
    title: str
    paper: str
    target: str  # "module:Class"


# --- the registry -------------------------------------------------------------------------------

_lock = RLock()
_entries: dict[str, dict[str, Entry]] = {}
_classes: dict[str, type[Method]] = {}  # by target
_scanned = False


def register(cls: type[Method]) -> type[Method]:
    """Class decorator: make a method known under its ``kind`` and ``name``.

    Raises:
        VarSpacesError: if a label is missing or another class has the same kind and name.
    """
    labels = {label: getattr(cls, label, None) for label in LABELS}
    target = f"{cls.__module__}:{cls.__qualname__}"
    _check_labels(labels, target)
    with _lock:
        _add(Entry(**labels, target=target), _table())
        _classes[target] = cls
    return cls


def kinds() -> list[str]:
    """Sorted kinds of methods that exist."""
    with _lock:
        return sorted(_table())


def names(kind: str) -> list[str]:
    """Sorted names of the methods of one kind."""
    return [entry.name for entry in entries(kind)]


def entries(kind: str) -> list[Entry]:
    """What is known about the methods of one kind without importing them, sorted by name."""
    with _lock:
        table = _table()
        if kind not in table:
            listed = ", ".join(sorted(table))
            raise UnknownName(f"Unknown kind {shorten(kind)}.{_near(kind, table)} Kinds: {listed}.")
        return sorted(table[kind].values(), key=lambda entry: entry.name)


def get(kind: str, name: str) -> type[Method]:
    """Return the class of a method; its module is imported on first use.

    Raises:
        UnknownName: if there is no such method; names the nearest one.
    """
    known = {entry.name: entry for entry in entries(kind)}
    if not isinstance(name, str) or name not in known:
        listed = ", ".join(known)
        raise UnknownName(
            f"Unknown {kind} {shorten(name)}.{_near(name, known)} Available: {listed}."
        )
    module, _, qualname = known[name].target.partition(":")
    # Not under our lock: the import system has locks of its own, and two orders would deadlock.
    if known[name].target not in _classes:
        importlib.import_module(module)
    try:
        return _classes[f"{module}:{qualname}"]
    except KeyError:
        raise VarSpacesError(f"{module} did not register {qualname} when imported.") from None


def describe(kind: str, name: str) -> dict[str, Any]:
    """Return name, title, paper and the JSON schema of the parameters of a method."""
    cls = get(kind, name)
    return {
        "kind": cls.kind,
        "name": cls.name,
        "title": cls.title,
        "paper": cls.paper,
        "parameters": cls.model_json_schema().get("properties", {}),
    }


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
    """Return ``{"name": ..., **all parameters}``; ``parse`` turns it back into an equal method."""
    return {"name": method.name, **method.model_dump(mode="json", by_alias=True)}


# --- discovery: read the source, import nothing ----------------------------------------------------


def _table() -> dict[str, dict[str, Entry]]:
    """The registry, filled from the packages on first use. Call it under the lock."""
    global _scanned
    if not _scanned:
        found: dict[str, dict[str, Entry]] = {}
        for entry in _scan():
            _add(entry, found)
        _entries.update(found)
        _scanned = True
    return _entries


def _add(entry: Entry, table: dict[str, dict[str, Entry]]) -> None:
    known = table.get(entry.kind, {}).get(entry.name)
    if known and known.target != entry.target:
        raise VarSpacesError(
            f"The {entry.kind} '{entry.name}' exists twice: {known.target} and {entry.target}. "
            "Give one of them another name."
        )
    table.setdefault(entry.kind, {})[entry.name] = entry


def _scan() -> Iterator[Entry]:
    for package in PACKAGES:
        folder = _SOURCES / package
        for path in sorted(folder.rglob("*.py")):
            module = ".".join(path.relative_to(_SOURCES).with_suffix("").parts)
            for name, found in _read_classes(module).items():
                if found.registered:
                    labels = {label: _label(module, name, label) for label in LABELS}
                    _check_labels(labels, f"{module}:{name}")
                    yield Entry(**labels, target=f"{module}:{name}")


@dataclass(frozen=True)
class _Source:
    """A class as its source shows it."""

    registered: bool
    labels: dict[str, str]
    bases: tuple[tuple[str, str], ...]  # (module, class)


_SOURCES = Path(__file__).resolve().parent.parent


@cache
def _read_classes(module: str) -> dict[str, _Source]:
    path = _SOURCES.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    if "class " not in text:
        return {}
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise VarSpacesError(f"{path.name}, line {error.lineno}: {error.msg}.") from None
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {
        node.name: _Source(
            registered=any(_last_name(d) == "register" for d in node.decorator_list),
            labels=dict(_literals(node)),
            bases=tuple(
                imported.get(base, (module, base)) for base in map(_last_name, node.bases) if base
            ),
        )
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def _last_name(node: ast.expr) -> str:
    return getattr(node, "attr", None) or getattr(node, "id", "")


def _literals(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Class-level ``label = "text"``, also with an annotation or as ``a, b = "x", "y"``."""
    for node in cls.body:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = list(zip(targets, values, strict=False))
            case ast.Assign(targets=[target], value=value):
                pairs = [(target, value)]
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                pairs = [(target, value)]
            case _:
                continue
        for target, value in pairs:
            if _last_name(target) in LABELS and isinstance(value, ast.Constant):
                yield _last_name(target), value.value


def _label(module: str, name: str, label: str) -> str | None:
    """A label of a class, or of the nearest base class that has it."""
    found = _read_classes(module).get(name)
    if found is None:
        return None
    inherited = (_label(*base, label) for base in found.bases if base != (module, name))
    default = "" if label == "paper" else None
    return found.labels.get(label) or next((text for text in inherited if text), default)


def _check_labels(labels: Mapping[str, object], target: str) -> None:
    for label, text in labels.items():
        if not isinstance(text, str) or (not text and label != "paper"):
            raise VarSpacesError(f"{target} is registered without a literal '{label}' text.")
    if not NAME_PATTERN.fullmatch(str(labels["name"])):
        raise VarSpacesError(
            f"{target}: the name {labels['name']!r} must be lower-case words joined by '-'."
        )


def _near(word: object, known: Mapping[str, object]) -> str:
    return did_you_mean(word, known) if isinstance(word, str) else ""
