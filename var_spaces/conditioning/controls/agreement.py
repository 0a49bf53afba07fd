"""How well two control maps agree. All of these take maps of one shape, uint8."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1  # pixels, in rows and columns, that a line may be off


def f1(wanted: np.ndarray, found: np.ndarray) -> float:
    """F1 of the pixels of two line drawings ``(H, W)``, 0..1; a line may be one pixel off.

    Precision is the share of found pixels that lie at most a pixel from a wanted one, recall the
    share of wanted pixels that lie at most a pixel from a found one. Two empty drawings agree.
    """
    wanted, found = wanted >= 128, found >= 128
    if not wanted.any() or not found.any():
        return float(wanted.any() == found.any())
    precision = (found & _near(wanted)).sum() / found.sum()
    recall = (wanted & _near(found)).sum() / wanted.sum()
    both = precision + recall
    return float(2 * precision * recall / both) if both else 0.0


def iou(wanted: np.ndarray, found: np.ndarray) -> float:
    """Intersection over union of two masks ``(H, W)``, 0..1. Two empty masks agree."""
    wanted, found = wanted >= 128, found >= 128
    either = (wanted | found).sum()
    return float((wanted & found).sum() / either) if either else 1.0


def mse(wanted: np.ndarray, found: np.ndarray) -> float:
    """Mean squared difference in grey levels, 0 (equal) to 65025 (black against white)."""
    return float(np.square(wanted.astype(np.float64) - found).mean())


def _near(lines: np.ndarray) -> np.ndarray:
    """Pixels at most :data:`TOLERANCE` rows and columns from a line."""
    import cv2

    side = 2 * TOLERANCE + 1
    return cv2.dilate(lines.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
