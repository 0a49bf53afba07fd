"""Whether a colour that a scene gives a thing can be seen: is it another picture without it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack
from var_spaces.training.data.palette import HUES
from var_spaces.training.data.render import render
from var_spaces.training.data.scene import Scene

SEEN = 12 / 255
"""Mean difference per channel and pixel of a thing, 0..1, from which on a colour is told apart."""


def tint_differences(atlas: Atlas, scenes: Sequence[Scene]) -> list[float]:
    """For each scene how much its least visible tint changes a thing, 0..1; 1 without tints.

    A tinted thing is compared with itself in its own colours and in every other tint; the
    difference is the mean over channels and over the pixels that any of them changes.
    """
    return [_least(atlas, scene) for scene in scenes]


def _least(atlas: Atlas, scene: Scene) -> float:
    found = [1.0]
    for place, item in enumerate(scene.objects):
        if item.tint is None:
            continue
        others = [replace(item, tint=tint) for tint in (None, *HUES) if tint != item.tint]
        shown = [scene, *(_with(scene, place, other) for other in others)]
        images = render(atlas, pack(atlas, shown)) / 2
        changes = (images[1:] - images[:1]).abs().mean(1)  # (N, H, W)
        changed = (changes > 1 / 255).any(0)
        found.append(changes[:, changed].mean(1).min().item() if bool(changed.any()) else 0.0)
    return min(found)


def _with(scene: Scene, place: int, item: object) -> Scene:
    objects = list(scene.objects)
    objects[place] = item
    return replace(scene, objects=tuple(objects))
