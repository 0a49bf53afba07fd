"""What an edit hardly changed comes from the picture itself, in its own pixels.

A model draws the whole picture anew through its tokenizer, so what should stay loses sharpness
even where nothing was asked for. Where the result hardly differs from the source, nothing was.
"""

from __future__ import annotations

import numpy as np

# In shares of the longer side. A tokenizer's errors go both ways and average out over BLUR; what
# really changed stays, also a background that is a shade darker everywhere. GROW takes its rim.
BLUR, GROW, FEATHER = 1 / 32, 3 / 64, 1 / 64
SPECK = 0.002  # of the picture at full difference: what adds up to less is no change


def changed(result: np.ndarray, source: np.ndarray, least: float) -> np.ndarray:
    """How far a result counts as another picture than its source.

    Args:
        result, source: ``(h, w, 3)`` uint8.
        least: difference from which a place has changed, of 1: that of the neighbourhoods' mean
            colours, in the channel where it is largest.

    Returns:
        Weights ``(h, w)`` float32 in 0..1 with soft rims: 1 changed, 0 the same.
    """
    import cv2

    side = max(result.shape[:2])
    signed = (result.astype(np.float32) - source) / 255
    far = np.abs(cv2.GaussianBlur(signed, (0, 0), side * BLUR)).max(-1)
    count, place = cv2.connectedComponents((far >= least).astype(np.uint8))
    sums = np.bincount(place.ravel(), weights=far.ravel(), minlength=count)
    real = sums >= SPECK * far.size
    real[0] = False  # all that is below
    around = 2 * round(side * GROW) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around))
    marked = cv2.dilate(real[place].astype(np.float32), disc)
    return cv2.GaussianBlur(marked, (0, 0), side * FEATHER)


def mixed(result: np.ndarray, source: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``result`` where weights ``(h, w)`` are 1 or more, ``source`` bit for bit where they are 0 or
    less, as they may be a little after a change of size."""
    weights = weights.clip(0, 1)[..., None]
    return (source + weights * (result.astype(np.float32) - source)).round().astype(np.uint8)
