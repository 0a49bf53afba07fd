"""Differences as colours."""

from __future__ import annotations

import numpy as np

# from no difference to a difference of the whole range
RAMP = np.array([(20, 19, 18), (28, 107, 95), (224, 177, 92), (255, 255, 255)], np.float64)


def coloured(values: np.ndarray) -> np.ndarray:
    """A heat map ``(H, W)`` in 0..1 as ``(H, W, 3)`` uint8; small values are lifted to be seen."""
    at = np.sqrt(values) * (len(RAMP) - 1)
    low = np.minimum(at.astype(int), len(RAMP) - 2)
    part = (at - low)[..., None]
    return np.round((1 - part) * RAMP[low] + part * RAMP[low + 1]).astype(np.uint8)
