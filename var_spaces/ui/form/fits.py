"""What goes together: models that can do a task, and methods that work with a model."""

from __future__ import annotations

from typing import Any

from var_spaces import methods
from var_spaces.tasks.plan import works
from var_spaces.ui import tabs
from var_spaces.zoo.cards import Card, cards


def models(tab: str) -> dict[str, Card]:
    """Cards of the models that can do a task of a tab, by id: those of the task that it is named
    after first, then those of other tasks of its own, then featured ones."""
    found = [(name, card) for name, card in cards("generator").items() if tasks(tab, card)]
    main = tabs.main(tab)

    def order(item: tuple[str, Card]) -> tuple[bool, bool, bool]:
        usual = item[1].default_task
        return usual != main, tabs.of(usual) != main, not item[1].featured

    return dict(sorted(found, key=order))


def tasks(tab: str, card: Card) -> list[str]:
    """Tasks of a tab that a model can do; what it is for comes first."""
    found = [task for task in tabs.tasks(tab) if works(card, task)]
    return sorted(found, key=lambda task: task != card.default_task)


def method_names(task: str, card: Card, kind: str) -> list[str]:
    """Methods of a kind that work with a model when all else is as its card says."""
    usual = _name(card.default(kind))
    return [
        name for name in methods.names(kind) if name == usual or works(card, task, {kind: name})
    ]


def _name(method: Any) -> str:
    return method if isinstance(method, str) else method["name"]
