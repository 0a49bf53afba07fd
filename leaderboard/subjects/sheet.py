"""The subjects of the embedded suite, in one file of the project.

``sheet.png`` holds four pictures, 64 px each, of every thing in ``NAMES``, a row each; ``draw``
made them. Every (concept, style) pair is one that no generator was trained on, of a concept that it
knows: the word alone draws another thing of the kind, only a picture tells this one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.subjects.base import Subject
from var_spaces.pictures import read

if TYPE_CHECKING:
    from var_spaces.training.data.scene import Scene

SHEET = Path(__file__).parent / "sheet.png"
SIDE, EACH = 64, 4
# Word and style of every subject, from top to bottom.
NAMES: tuple[tuple[str, str], ...] = (
    ("dog", "glossy"),
    ("owl", "glossy"),
    ("pig", "flat"),
    ("elephant", "glossy"),
    ("turtle", "glossy"),
    ("whale", "flat"),
    ("honeybee", "blob"),
    ("bus", "glossy"),
    ("locomotive", "round"),
    ("sailboat", "soft"),
    ("birthday cake", "blob"),
    ("beer mug", "round"),
    ("hot beverage", "blob"),
    ("rose", "soft"),
    ("sunflower", "round"),
    ("basketball", "round"),
)
# Background, size, shift to the right and mirrored or not of the four pictures.
VIEWS = (
    ("white", 0.92, 0.0, False),
    ("sky", 0.8, -0.05, True),
    ("mint", 0.86, 0.04, False),
    ("yellow", 0.74, 0.06, True),
)


@lru_cache(maxsize=1)
def subjects() -> tuple[Subject, ...]:
    """All of them, in the order of ``NAMES``."""
    sheet = np.asarray(read(SHEET, "The sheet of subjects").convert("RGB"))
    tiles = sheet.reshape(len(NAMES), SIDE, EACH, SIDE, 3).swapaxes(1, 2)
    return tuple(
        Subject(f"{word}, {style}", word, tuple(np.ascontiguousarray(tile) for tile in row))
        for (word, style), row in zip(NAMES, tiles, strict=True)
    )


def find(name: str) -> Subject:
    """One of them by its name."""
    return next(subject for subject in subjects() if subject.name == name)


def scenes(word: str, style: str) -> list[Scene]:
    """What the four pictures of a subject show."""
    from var_spaces.training.data.scene import Object, Scene

    return [
        Scene(background, (Object(word, style, cx=0.5 + shift, size=size, flip=flip),))
        for background, size, shift, flip in VIEWS
    ]


def draw() -> np.ndarray:
    """The sheet as it was made: rendered from the sprite atlas."""
    from var_spaces.training.data.atlas import Atlas
    from var_spaces.training.data.batch import pack
    from var_spaces.training.data.render import render

    atlas = Atlas.load()
    shown = [scene for name in NAMES for scene in scenes(*name)]
    pixels = render(atlas, pack(atlas, shown), SIDE).add(1).mul(127.5).round().byte()
    rows = pixels.permute(0, 2, 3, 1).numpy().reshape(len(NAMES), EACH, SIDE, SIDE, 3)
    return rows.swapaxes(1, 2).reshape(len(NAMES) * SIDE, EACH * SIDE, 3)
