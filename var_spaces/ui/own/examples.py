"""Pictures to try a lesson with, drawn from the sprites that come with the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIDE = 256  # pixels


@dataclass(frozen=True)
class Example:
    """Some views of one thing: background, size and side differ.

    Attributes:
        words: as the visitor would give them.
    """

    label: str
    concept: str
    style: str
    views: tuple[tuple[str, float, bool], ...]
    words: Mapping[str, str]


VIEWS = (
    ("white", 0.8, False),
    ("sky", 0.7, True),
    ("mint", 0.9, False),
    ("cream", 0.75, True),
    ("pink", 0.6, False),
)
EXAMPLES: Mapping[str, Sequence[Example]] = {
    "subject": (
        Example("five pictures of a dog", "dog", "glossy", VIEWS, {"word": "dog"}),
        Example("five pictures of a robot", "robot", "soft", VIEWS, {"word": "robot"}),
    ),
    "style": (
        Example("a glossy owl", "owl", "glossy", VIEWS[:1], {"content": "owl", "style": "glossy"}),
        Example("a round fox", "fox", "round", VIEWS[:1], {"content": "fox", "style": "round"}),
    ),
}


def pictures(example: Example) -> list[np.ndarray]:
    """The views, ``(256, 256, 3)`` uint8 each."""
    return scenes(
        [(view[0], ((example.concept, example.style, *view[1:]),)) for view in example.views]
    )


def scenes(wanted: Sequence[tuple[str, Sequence[tuple]]], side: int = SIDE) -> list[np.ndarray]:
    """Pictures of things on plain backgrounds.

    Args:
        wanted: background, and per thing: concept, style, size, whether it is mirrored and, if it
            is not in the middle, where its centre is.
    """
    from var_spaces.training.data.batch import pack
    from var_spaces.training.data.render import render
    from var_spaces.training.data.scene import Object, Scene

    atlas = _atlas()
    made = []
    for background, things in wanted:
        objects = []
        for concept, style, size, flip, *place in things:
            cx, cy = place or (0.5, 0.5)
            objects.append(Object(concept, style, cx=cx, cy=cy, size=size, flip=flip))
        made.append(Scene(background, tuple(objects)))
    drawn = render(atlas, pack(atlas, made), side).add(1).mul(127.5).round().byte()
    return [one.permute(1, 2, 0).contiguous().numpy() for one in drawn]


@lru_cache(maxsize=1)
def _atlas():
    from var_spaces.training.data.atlas import Atlas

    return Atlas.load()
