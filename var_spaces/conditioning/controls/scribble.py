"""A few thick strokes, as somebody would sketch the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.conditioning.controls.base import Control, side_of
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class Scribble(Control):
    """White strokes on black: edges of the blurred picture, without short ones, drawn thickly."""

    name = "scribble"
    title = "Scribble or sketch"
    paper = "https://arxiv.org/abs/2302.05543"
    score = "f1"
    drawn = True

    blur: float = Field(
        0.02, ge=0, le=0.2, description="detail that is left out, as a fraction of the side"
    )
    width: float = Field(
        0.03, gt=0, le=0.2, description="of the strokes, as a fraction of the side"
    )
    shortest: float = Field(
        0.15, ge=0, le=2, description="length of the shortest stroke, as a fraction of the side"
    )

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2
        import numpy as np

        side = side_of(picture)
        smooth = cv2.GaussianBlur(picture, (0, 0), max(self.blur * side, 0.1))
        edges = cv2.Canny(smooth, 60, 120)
        _, label, stats, _ = cv2.connectedComponentsWithStats(edges, connectivity=8)
        long = stats[:, cv2.CC_STAT_AREA] >= self.shortest * side
        long[0] = False  # what is no edge
        width = max(1, round(self.width * side))
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        return cv2.dilate(long[label].astype(np.uint8) * 255, brush)
