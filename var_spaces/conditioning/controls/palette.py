"""A grid of a few plain colours: where which colour is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.conditioning.controls.base import Control, side_of
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class Palette(Control):
    """The mean colour of every cell of a grid."""

    name = "palette"
    title = "Palette grid"
    score = "mse"
    colour = True

    cells: int = Field(8, ge=1, le=64, description="cells along the shorter side")

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2

        height, width = picture.shape[:2]
        side = side_of(picture)
        rows, columns = (max(1, round(self.cells * n / side)) for n in (height, width))
        few = cv2.resize(
            picture, (min(columns, width), min(rows, height)), None, 0, 0, cv2.INTER_AREA
        )
        return cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST)
