"""Peak signal-to-noise ratio against the image that the full cache draws from the same noise."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.evaluators.similarity import psnr
from var_spaces.methods import register


@register
class Psnr(PerImage):
    """10 log10(255^2 / MSE) in dB over all pixels and channels; at most 99 (equal images)."""

    name = "psnr"
    title = "PSNR to full cache"
    better = "higher"
    unit = "dB"
    compares = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        pairs = zip(batch.images, batch.full.images, strict=True)
        return np.array([psnr(image, other) for image, other in pairs])
