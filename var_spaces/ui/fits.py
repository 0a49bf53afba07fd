"""What goes together: models that can do a task, and methods that work with a model."""

from __future__ import annotations

from var_spaces import methods
from var_spaces.api import make_spec
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import fit_together
from var_spaces.zoo.cards import Card, cards

PARTS = ("guidance", "sampling", "cache", "decoding")


def models(task: str) -> dict[str, Card]:
    """Cards of the models that can do a task, by id."""
    return {name: card for name, card in cards("generator").items() if _works(card, task)}


def method_names(task: str, card: Card, kind: str) -> list[str]:
    """Methods of a kind that work with a model when all else is as its card says."""
    return [
        name
        for name in methods.names(kind)
        if _works(card, task, {kind: name}) or name == _usual(task, card)[kind]["name"]
    ]


def _works(card: Card, task: str, changes: dict[str, str] | None = None) -> bool:
    try:
        chosen = {**_usual(task, card), **(changes or {})}
        parts = [methods.parse(kind, chosen[kind]) for kind in ("task", *PARTS)]
        fit_together(card, parts)
    except VarSpacesError:
        return False
    return True


def _usual(task: str, card: Card) -> dict[str, object]:
    """Task and methods of a run with all defaults."""
    spec: RunSpec = make_spec(card.id, task=task)[0]
    usual: dict[str, object] = {kind: getattr(spec, kind) for kind in PARTS}
    return {"task": {"name": task, **spec.inputs}, **usual}
