"""Structural similarity with the image that the full cache draws from the same noise.

Wang et al. 2004: Gaussian window of 11 x 11 with sigma 1.5, K = (0.01, 0.03), population
covariances, mean over channels and over the positions whose whole window is inside the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

RADIUS, SIGMA = 5, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


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


def ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Similarity per image of two batches ``(B, H, W, 3)`` uint8, float64."""
    import torch

    a, b = (torch.from_numpy(x).permute(0, 3, 1, 2).double() for x in (images, others))
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    bottom = (mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)
    return (top / bottom).mean(dim=(1, 2, 3)).numpy()


def _blur(x: Tensor) -> Tensor:
    import torch
    import torch.nn.functional as F

    at = torch.arange(-RADIUS, RADIUS + 1, dtype=x.dtype)
    line = torch.exp(-(at**2) / (2 * SIGMA**2))
    line = (line / line.sum()).expand(x.shape[1], 1, -1)
    rows = F.conv2d(x, line[..., None, :], groups=x.shape[1])
    return F.conv2d(rows, line[..., :, None], groups=x.shape[1])
