"""Structural similarity with the image that the full cache draws from the same noise."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.evaluators.similarity import ssim
from var_spaces.methods import register


@register
class Ssim(PerImage):
    """At most 1 (equal images)."""

    name = "ssim"
    title = "SSIM to full cache"
    paper = "https://doi.org/10.1109/TIP.2003.819861"
    better = "higher"
    compares = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return ssim(batch.images, batch.full.images)
