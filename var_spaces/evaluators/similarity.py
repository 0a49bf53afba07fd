"""How alike pictures are, pixel by pixel: PSNR and SSIM, for metrics, edits and comparisons.

SSIM as in Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861): Gaussian window of 11 x 11
with sigma 1.5, K = (0.01, 0.03), population covariances, mean over channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 99.0  # dB: what equal pictures get
RADIUS, SIGMA = 5, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(pixels: np.ndarray, others: np.ndarray, limit: float = LIMIT) -> float:
    """Peak signal-to-noise ratio, 10 log10(255^2 / MSE) in dB over all numbers, at most ``limit``.

    Args:
        pixels, others: uint8 of one shape, any.
    """
    error = np.square(pixels.astype(np.float64) - others).mean()
    return limit if error == 0 else min(limit, float(10 * np.log10(255.0**2 / error)))


def ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity per image of two batches ``(B, H, W, 3)`` uint8, float64, at most 1.

    Mean over the positions whose whole window is inside the image.
    """
    return ssim_map(images, others).mean(axis=(1, 2))


def ssim_map(images: np.ndarray, others: np.ndarray, whole: bool = False) -> np.ndarray:
    """SSIM at every position of two batches ``(B, H, W, 3)`` uint8, ``(B, h, w)`` float64.

    Args:
        whole: at every pixel, edges reflected; else where the whole window is inside the image.
    """
    import torch

    a, b = (torch.tensor(x).permute(0, 3, 1, 2).double() for x in (images, others))

    def blur(x: Tensor) -> Tensor:
        return _blurred(x, whole)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    bottom = (mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)
    return (top / bottom).mean(dim=1).numpy()


def _blurred(x: Tensor, whole: bool) -> Tensor:
    import torch
    import torch.nn.functional as F

    at = torch.arange(-RADIUS, RADIUS + 1, dtype=x.dtype)
    line = torch.exp(-(at**2) / (2 * SIGMA**2))
    line = (line / line.sum()).expand(x.shape[1], 1, -1)
    padded = F.pad(x, (RADIUS,) * 4, "reflect") if whole else x
    rows = F.conv2d(padded, line[..., None, :], groups=x.shape[1])
    return F.conv2d(rows, line[..., :, None], groups=x.shape[1])
