"""Peak signal-to-noise ratio against the image that the full cache draws from the same noise."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

LIMIT = 99.0


@register
class Psnr(PerImage):
    """10 log10(255^2 / MSE) in dB over all pixels and channels; at most 99 (equal images)."""

    name = "psnr"
    title = "PSNR to full cache"
    better = "higher"
    unit = "dB"
    compares = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        difference = batch.images.astype(np.float64) - batch.full.images
        error = np.square(difference).mean(axis=(1, 2, 3))
        with np.errstate(divide="ignore"):
            return np.minimum(10 * np.log10(255.0**2 / error), LIMIT)
