"""The pictures of the embedded suite, in one file of the project, and what they might become.

``sheet.png`` holds one picture of 64 px of every (content, style) pair in ``NAMES``, eight in a
row; ``draw`` made it. A third are pairs that no generator was trained on, of things and styles that
it knows; a third are in a style that none was trained on; a third show things that none was trained
on, two of them in that style besides. All are things that exist in every style.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.styles.base import Picture
from var_spaces.pictures import read

if TYPE_CHECKING:
    from var_spaces.training.data.scene import Scene

SHEET = Path(__file__).parent / "sheet.png"
SIDE, ACROSS = 64, 8
UNSEEN_STYLE = "fox"
# Content and style of every picture, row by row, by what of it is unseen.
NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "pair": (
        ("dog", "glossy"), ("turtle", "glossy"), ("whale", "flat"), ("pig", "flat"),
        ("birthday cake", "blob"), ("honeybee", "blob"), ("sunflower", "round"), ("rose", "soft"),
    ),
    "style": (
        ("cat", "fox"), ("banana", "fox"), ("automobile", "fox"), ("penguin", "fox"),
        ("tulip", "fox"), ("castle", "fox"), ("guitar", "fox"), ("hamburger", "fox"),
    ),
    "concept": (
        ("spider", "soft"), ("microphone", "round"), ("bread", "blob"), ("green apple", "flat"),
        ("lady beetle", "glossy"), ("wine glass", "soft"), ("kimono", "fox"),
        ("fried shrimp", "fox"),
    ),
}  # fmt: skip


@lru_cache(maxsize=1)
def pictures() -> tuple[Picture, ...]:
    """All of them, in the order of ``NAMES``."""
    sheet = np.asarray(read(SHEET, "The sheet of styles").convert("RGB"))
    rows = sheet.reshape(len(NAMES), SIDE, ACROSS, SIDE, 3).swapaxes(1, 2)
    return tuple(
        Picture(content, style, np.ascontiguousarray(tile), unseen)
        for (unseen, pairs), row in zip(NAMES.items(), rows, strict=True)
        for (content, style), tile in zip(pairs, row, strict=True)
    )


@lru_cache(maxsize=64)
def find(name: str) -> Picture:
    """One of them by its name."""
    return next(picture for picture in pictures() if picture.name == name)


def scene(content: str, style: str) -> Scene:
    """A picture of the suite as a scene: one large thing on white."""
    from var_spaces.training.data.scene import Object, Scene

    return Scene("white", (Object(content, style),))


@lru_cache(maxsize=512)
def truth(content: str, style: str) -> np.ndarray:
    """What a thing in a style really looks like, ``(64, 64, 3)`` uint8, from the sprite atlas."""
    return drawn([scene(content, style)])[0]


def drawn(scenes: list[Scene]) -> np.ndarray:
    """Scenes as pictures ``(N, 64, 64, 3)`` uint8."""
    from var_spaces.training.data.batch import pack
    from var_spaces.training.data.render import render

    atlas = _atlas()
    pixels = render(atlas, pack(atlas, scenes), SIDE).add(1).mul(127.5).round().byte()
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


@lru_cache(maxsize=1)
def _atlas():
    from var_spaces.training.data.atlas import Atlas

    return Atlas.load()


def draw() -> np.ndarray:
    """The sheet as it was made."""
    tiles = drawn([scene(*name) for names in NAMES.values() for name in names])
    rows = tiles.reshape(len(NAMES), ACROSS, SIDE, SIDE, 3).swapaxes(1, 2)
    return rows.reshape(len(NAMES) * SIDE, ACROSS * SIDE, 3)
