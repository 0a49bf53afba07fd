"""Tabs of the page: tasks that go together, in a fixed order; none without a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from var_spaces import methods
from var_spaces.ui.glossary import term


@dataclass(frozen=True)
class TabWords:
    """Title of a tab, its button, what it is for, what it is good at, and what it cannot do with
    the models that come along."""

    title: str
    go: str
    promise: str
    good: str = ""
    limits: str = ""


COMPARE = "compare"  # the tab that does what all others do, side by side

WORDS: Mapping[str, TabWords] = {
    "generate": TabWords(
        "Generate",
        "Generate",
        "Choose what to draw and press Generate.",
        "one thing in a drawing style, or a small scene from English words, in a fraction of a "
        "second on any computer; and at showing how it comes about.",
        "64 px drawings of 64 things, or of what the captions of the training drawings say: no "
        "photographs, no people, no writing.",
    ),
    "edit": TabWords(
        "Edit",
        "Edit",
        "Hand in a picture and say what to change, paint over it, or let a model draw its details "
        "anew: the model that you choose decides which of these it can do.",
        "changes of a part that fit their surroundings, without any training for it.",
        "pictures of 64 px, plain around a thing that they know; photographs are read as drawings.",
    ),
    "style": TabWords(
        "Style",
        "Draw",
        "Take the style of one picture to another content.",
        "one look for many contents, learned from a single picture.",
        "drawings of 64 px; the style of a photograph is beyond the models that come along.",
    ),
    "subject": TabWords(
        "Subject",
        "Draw",
        "Draw a thing of your own in new places.",
        "your own thing in new colours, styles and company.",
        "drawings of 64 px with few details; faces and photographs are beyond the models that come "
        "along.",
    ),
    "control": TabWords(
        "Control",
        "Draw",
        "Draw along edges, depth or a sketch.",
        "keeping an outline or a layout while everything else is free.",
        "64 px: lines closer than a few pixels run together.",
    ),
}


def names() -> tuple[str, ...]:
    """Tabs that have a task; a task without a tab is none of the page's."""
    return ordered({methods.get("task", name).tab for name in methods.names("task")} - {""})


def ordered(found: Iterable[str]) -> tuple[str, ...]:
    """Tabs in the order of the page."""
    known = [tab for tab in WORDS if tab in found]
    return (*known, *sorted(set(found).difference(WORDS)))


@lru_cache
def tasks(tab: str) -> tuple[str, ...]:
    """Tasks of a tab by name; those of all tabs where they are compared."""
    homes = names() if tab == COMPARE else (tab,)
    return tuple(name for home in homes for name in methods.names("task") if of(name) == home)


def main(tab: str) -> str:
    """The tab whose models come first in a tab."""
    return names()[0] if tab == COMPARE else tab


def of(task: str) -> str:
    """The tab of a task."""
    return methods.get("task", task).tab


def words(tab: str) -> TabWords:
    """What a tab is called; one that is not listed here goes by its name."""
    return WORDS.get(tab) or TabWords(tab.capitalize(), "Draw", "Press Draw.")


def about(tab: str) -> str:
    """What a tab is good at and what it cannot do, as HTML; "" if nobody said."""
    told = words(tab)
    if not told.good:
        return ""
    more = term("larger", "larger models need a GPU: here is how")
    return (
        f'<p class="vs-about"><b>Good at</b> {escape(told.good)} <b>Limits of the models that come '
        f"along:</b> <span>{escape(told.limits)}</span> <span>For more,</span> {more}.</p>"
    )
