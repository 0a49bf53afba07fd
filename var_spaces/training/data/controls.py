"""Control maps of rendered scenes, of a kind per scene, as training shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch
from var_spaces.training.data.render import coverage

if TYPE_CHECKING:
    from var_spaces.conditioning.controls.base import Control


def control_maps(
    atlas: Atlas, scenes: SceneBatch, images: Tensor, kinds: Sequence[Control]
) -> Tensor:
    """A map per scene as models see it, ``(B, 3, H, W)`` in [-1, 1], on the device of ``images``.

    Silhouettes are those of the scenes; all other maps are extracted from the images.

    Args:
        images: the rendered scenes, ``(B, 3, H, W)`` in [-1, 1].
        kinds: of every scene's map.
    """
    from var_spaces.decoding.loop.pixels import to_uint8

    pixels = to_uint8(images)
    wanted = torch.tensor([row for row, kind in enumerate(kinds) if kind.name == "mask"])
    exact = dict(zip(wanted.tolist(), _silhouettes(atlas, scenes, wanted, images), strict=True))
    maps = [
        kind.as_picture(exact[row] if row in exact else kind.extract(pixels[row]))
        for row, kind in enumerate(kinds)
    ]
    seen = torch.from_numpy(np.stack(maps)).to(images.device)
    return seen.permute(0, 3, 1, 2).float() / 127.5 - 1


def _silhouettes(
    atlas: Atlas, scenes: SceneBatch, rows: Tensor, images: Tensor
) -> list[np.ndarray]:
    from var_spaces.conditioning.controls.mask import filled

    if not len(rows):
        return []
    covered = coverage(atlas, scenes.rows(rows.to(images.device)), images.shape[2]) >= 0.5
    return [filled(inside) for inside in covered.cpu().numpy()]
