"""Finds the classes that carry ``@register`` by reading source files; imports none of them.

So the command line and the app can list every method without torch, and adding a method is adding
a file: no list of methods exists anywhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from var_spaces.errors import VarSpacesError

PACKAGES = ("var_spaces", "leaderboard")  # searched with all their sub-packages
REGISTER = "register"
LABELS = ("kind", "name", "title", "paper")
NAME_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """A method that exists, whether or not its module has been imported."""

    kind: str
    name: str
    title: str
    paper: str
    target: str  # "module:Class"


def entry(labels: Mapping[str, object], target: str) -> Entry:
    """Check the labels of a registered class.

    Raises:
        VarSpacesError: if one is missing (``paper`` may be empty) or the name is malformed.
    """
    for label in LABELS:
        text = labels.get(label)
        if not isinstance(text, str) or not (text or label == "paper"):
            raise VarSpacesError(f"{target} is registered without a literal '{label}' text.")
    if not NAME_PATTERN.fullmatch(labels["name"]):
        raise VarSpacesError(
            f"{target}: the name {labels['name']!r} must be lower-case words joined by '-'."
        )
    return Entry(*(labels[label] for label in LABELS), target)


def scan(
    root: Path, packages: Sequence[str] = PACKAGES, decorator: str = REGISTER
) -> Iterator[Entry]:
    """Yield what carries a decorator in the packages below ``root``, in the order of the files."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            for name, found in _read_classes(root, module).items():
                if decorator in found.decorators:
                    labels = {label: _label(root, module, name, label) for label in LABELS}
                    yield entry(labels, f"{module}:{name}")


@dataclass(frozen=True)
class _Source:
    """A class as its source shows it."""

    decorators: frozenset[str]
    labels: dict[str, object]
    bases: tuple[tuple[str, str], ...]  # (module, class)


@cache
def _read_classes(root: Path, module: str) -> dict[str, _Source]:
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if "class " not in text:
        return {}
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise VarSpacesError(f"{path.name}, line {error.lineno}: {error.msg}.") from None
    imported = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {
        node.name: _Source(
            decorators=frozenset(map(_last_name, node.decorator_list)),
            labels=dict(_literals(node)),
            bases=tuple(imported.get(_last_name(b), (module, _last_name(b))) for b in node.bases),
        )
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def _last_name(node: ast.expr) -> str:
    """``register`` of ``register`` and of ``methods.register``."""
    return getattr(node, "attr", None) or getattr(node, "id", "")


def _literals(cls: ast.ClassDef) -> Iterator[tuple[str, object]]:
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


def _label(root: Path, module: str, name: str, label: str) -> object:
    """A label of a class, or of the nearest base class that has it."""
    found = _read_classes(root, module).get(name)
    if found is None:
        return "" if label == "paper" else None
    if label in found.labels:
        return found.labels[label]
    inherited = (_label(root, *base, label) for base in found.bases if base != (module, name))
    return next((text for text in inherited if text), "" if label == "paper" else None)
