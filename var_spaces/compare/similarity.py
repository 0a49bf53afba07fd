"""How alike two pictures are, ``(H, W, 3)`` uint8 of one size."""

from __future__ import annotations

import numpy as np

from var_spaces.evaluators.similarity import RADIUS
from var_spaces.evaluators.similarity import ssim as batch_ssim


def ssim(a: np.ndarray, b: np.ndarray) -> float | None:
    """Structural similarity, at most 1; None below 11 pixels along a side."""
    if min(a.shape[:2]) < 2 * RADIUS + 1:
        return None
    return float(batch_ssim(a[None], b[None])[0])


def heat(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the channels at every pixel, ``(H, W)`` in 0..1."""
    return np.abs(a.astype(np.float64) - b).mean(axis=2) / 255
