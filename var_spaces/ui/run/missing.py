"""What a tab says that has no model for what it is for: which one, and how to get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from var_spaces.zoo.cards import cards
from var_spaces.zoo.places import FOLDERS_VARIABLE


@dataclass(frozen=True)
class Wish:
    """A model that is not here.

    Attributes:
        task: that it is for.
        what: it would do, in words.
        train: command that makes one on this computer.
        fetch: command that gets a published one; empty where none was published.
        page: of the documentation.
    """

    task: str
    what: str
    train: str
    fetch: str
    page: str


WISHES: Mapping[str, Wish] = {
    "edit": Wish(
        "instruct",
        "changing a picture as a sentence says (&ldquo;make the apple blue&rdquo;, VAREdit)",
        "python -m var_spaces.training instruct --config edit-bit",
        "python -m var_spaces download varedit-2b-512",
        "docs/edit.md",
    ),
    "subject": Wish(
        "subject",
        "drawing your thing from one picture of it, without training (EchoGen)",
        "python -m var_spaces.training echo --config echo-bit",
        "",
        "docs/subjects.md",
    ),
    "control": Wish(
        "control",
        "drawing along edges, a sketch, tones or a silhouette (ScaleWeaver)",
        "python -m var_spaces.training control --config control-bit",
        "",
        "docs/control.md",
    ),
}


def is_missing(tab: str) -> bool:
    """Whether no model here is made for the main task of a tab."""
    wish = WISHES.get(tab)
    known = {card.default_task for card in cards("generator").values()}
    return wish is not None and wish.task not in known


def missing(tab: str) -> str:
    """Which model is needed and how to get or train one, as HTML."""
    wish = WISHES[tab]
    fetch = (
        f"<li>get one that others trained: <code>{wish.fetch}</code> (it needs a GPU)</li>"
        if wish.fetch
        else ""
    )
    return (
        f"<h2>No model for this yet</h2><p>What is missing here is {wish.what}. To have it:</p>"
        f"<ul><li>train the small one: <code>{wish.train}</code></li>{fetch}"
        f"<li>or put the folder of one into a folder named by <code>{FOLDERS_VARIABLE}</code>"
        f"</li></ul><p>Then open this tab again. More in <code>{wish.page}</code>.</p>"
    )


def also_missing(tab: str) -> str:
    """The same for a tab that can do something else, folded."""
    return (
        f'<details class="vs-details vs-wish"><summary>Not here yet: {WISHES[tab].what}</summary>'
        f"{missing(tab)}</details>"
    )
