"""The picture out of focus: colours and rough shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.conditioning.controls.base import Control, side_of
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class Blur(Control):
    """Gaussian blur."""

    name = "blur"
    title = "Blurred picture"
    score = "mse"
    colour = True

    sigma: float = Field(
        0.05, gt=0, le=0.5, description="standard deviation as a fraction of the side"
    )

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2

        return cv2.GaussianBlur(picture, (0, 0), max(self.sigma * side_of(picture), 0.1))
