"""What an edit hardly changed comes from the picture itself, in its own pixels.

A model draws the whole picture anew through its tokenizer, so what should stay loses sharpness
even where nothing was asked for. Where the result hardly differs from the source, nothing was.
"""

from __future__ import annotations

import numpy as np

# In shares of the longer side. A tokenizer's own errors are finer than BLUR and average out; what
# really changed stands out of it, and GROW takes its rim along.
BLUR, GROW, FEATHER = 1 / 32, 3 / 32, 1 / 64


def changed(result: np.ndarray, source: np.ndarray, least: float) -> np.ndarray:
    """How far a result counts as another picture than its source.

    Args:
        result, source: ``(h, w, 3)`` uint8.
        least: difference from which a place has changed, of 1: the largest of the three channels,
            averaged over the neighbourhood.

    Returns:
        Weights ``(h, w)`` float32 in 0..1 with soft rims: 1 changed, 0 the same.
    """
    import cv2

    side = max(result.shape[:2])
    far = np.abs(result.astype(np.int16) - source).max(-1).astype(np.float32) / 255
    marked = (cv2.GaussianBlur(far, (0, 0), side * BLUR) >= least).astype(np.uint8)
    around = 2 * round(side * GROW) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around))
    return cv2.GaussianBlur(cv2.dilate(marked, disc).astype(np.float32), (0, 0), side * FEATHER)


def mixed(result: np.ndarray, source: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``result`` where weights ``(h, w)`` are 1, ``source`` bit for bit where they are 0."""
    weights = weights[..., None]
    return (source + weights * (result.astype(np.float32) - source)).round().astype(np.uint8)
