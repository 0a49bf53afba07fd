"""Pictures to click on, drawn from the sprites that come with the project."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SIDE = 256  # pixels


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
def _atlas() -> Any:
    from var_spaces.training.data.atlas import Atlas

    return Atlas.load()
