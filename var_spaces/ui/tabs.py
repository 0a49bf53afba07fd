"""Tabs of the page: tasks that go together, in a fixed order; none without a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from var_spaces import methods


@dataclass(frozen=True)
class TabWords:
    """Title of a tab, its button, and what it is for."""

    title: str
    go: str
    promise: str


WORDS: Mapping[str, TabWords] = {
    "generate": TabWords("Generate", "Generate", "Choose what to draw and press Generate."),
    "edit": TabWords(
        "Edit",
        "Edit",
        "Hand in a picture and say what to change, paint over it, or let a model draw its details "
        "anew: which of these is for the model to say.",
    ),
    "style": TabWords("Style", "Draw", "Take the style of one picture to another content."),
    "subject": TabWords("Subject", "Draw", "Draw a thing of your own in new places."),
    "control": TabWords("Control", "Draw", "Draw along edges, depth or a sketch."),
}


def names() -> tuple[str, ...]:
    """Tabs that have a task; a task without a tab is none of the page's."""
    found = {methods.get("task", name).tab for name in methods.names("task")} - {""}
    known = [tab for tab in WORDS if tab in found]
    return (*known, *sorted(found.difference(WORDS)))


@lru_cache
def tasks(tab: str) -> tuple[str, ...]:
    """Tasks of a tab by name."""
    return tuple(name for name in methods.names("task") if methods.get("task", name).tab == tab)


def of(task: str) -> str:
    """The tab of a task."""
    return methods.get("task", task).tab


def words(tab: str) -> TabWords:
    """What a tab is called; one that is not listed here goes by its name."""
    return WORDS.get(tab) or TabWords(tab.capitalize(), "Draw", "Press Draw.")
