"""Edges with their strength: how fast the colour changes at every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.conditioning.controls.base import Control, side_of
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class SoftEdges(Control):
    """Length of the gradient of the slightly blurred picture, in its strongest colour channel."""

    name = "soft-edges"
    title = "Soft edges"
    paper = "https://arxiv.org/abs/2302.05543"
    score = "mse"
    drawn = True

    blur: float = Field(
        0.015, ge=0, le=0.2, description="detail that is left out, as a fraction of the side"
    )

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2
        import numpy as np

        sigma = max(self.blur * side_of(picture), 0.1)
        smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma)
        across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 16) for axis in _AXES)
        slope = np.hypot(across, down).max(axis=2)  # grey levels over two pixels
        # A step from black to white, blurred so and differenced over two pixels, is white.
        steepest = 2 * 255 / np.sqrt(2 * np.pi * (sigma**2 + 1 / 3))
        return np.clip(np.rint(slope * (255 / steepest)), 0, 255).astype(np.uint8)


_AXES = ((1, 0), (0, 1))
