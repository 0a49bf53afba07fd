"""Pictures to try a lesson with, drawn from the sprites that come with the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.ui.form.scenes import scenes

if TYPE_CHECKING:
    import numpy as np


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
