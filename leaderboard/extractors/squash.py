"""The plainest resize: to a square, whatever shape a picture has."""

from __future__ import annotations

import numpy as np


def squashed(images: np.ndarray, side: int) -> np.ndarray:
    """Pictures ``(B, H, W, 3)`` uint8 as ``(B, side, side, 3)``: bicubic with antialias, in eight
    bits, by Pillow: pictures of publications are files."""
    from PIL import Image

    size = (side, side)
    small = [Image.fromarray(image).resize(size, Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(picture) for picture in small])
