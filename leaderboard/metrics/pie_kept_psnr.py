"""Peak signal-to-noise ratio outside the masks of PIE-Bench, against the source picture."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from leaderboard.published_edits import kept_pixels, pie_bench
from var_spaces.evaluators.edits import kept_psnr
from var_spaces.methods import register


@register
class PieKeptPsnr(PerImage):
    """Mean over kept pixels in dB, at most 50. The authors' own number counts changed pixels as
    equal, so it is higher. 50 where a mask covers everything."""

    name = "pie-kept-psnr"
    title = "PSNR outside the mask"
    paper = "https://arxiv.org/abs/2310.01506"
    better = "higher"
    unit = "dB"
    facts = ("source", "mask")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        _, known = pie_bench()
        found = []
        for item, image in zip(batch.items, batch.images, strict=True):
            kept = kept_pixels(item.facts["mask"], *image.shape[:2])
            found.append(kept_psnr(image, known[item.facts["source"]], ~kept))
        return np.nan_to_num(np.array(found), nan=50.0)
