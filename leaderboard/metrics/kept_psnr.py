"""Peak signal-to-noise ratio of what an edit was to keep, against the picture it started from."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from leaderboard.sources import pictures
from var_spaces.evaluators.similarity import psnr
from var_spaces.methods import register
from var_spaces.tasks.region import rectangle_mask


@register
class KeptPsnr(PerImage):
    """10 log10(255^2 / MSE) in dB over the pixels outside the painted region; at most 99.

    A tokenizer loses some of every picture, so its reconstruction is the most that tokens can keep.
    """

    name = "kept-psnr"
    title = "PSNR of what is kept"
    better = "higher"
    unit = "dB"
    facts = ("source", "kept")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        known = pictures()
        found = []
        for item, image in zip(batch.items, batch.images, strict=True):
            region = rectangle_mask(item.inputs["rectangle"], *image.shape[:2])
            kept = region if item.facts["kept"] == "inside" else ~region
            found.append(psnr(image[kept], known[item.facts["source"]][kept]))
        return np.array(found)
