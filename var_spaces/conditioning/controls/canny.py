"""Edges of sudden change, one pixel wide (Canny, IEEE TPAMI 8(6), 1986)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from var_spaces.conditioning.controls.base import Control
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class Canny(Control):
    """White edges on black, of the strongest colour channel at every pixel.

    An edge starts where the gradient (sum of absolute Sobel responses) exceeds ``high`` and goes on
    while it exceeds ``low``.
    """

    name = "canny"
    title = "Canny edges"
    paper = "https://doi.org/10.1109/TPAMI.1986.4767851"
    score = "f1"
    drawn = True

    low: int = Field(100, ge=0, le=2000, description="gradient at which an edge ends")
    high: int = Field(200, ge=0, le=2000, description="gradient at which an edge starts")

    @model_validator(mode="after")
    def _check(self) -> Canny:
        if self.low > self.high:
            raise VarSpacesError(f"low = {self.low} must be at most high = {self.high}.")
        return self

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2

        return cv2.Canny(picture, self.low, self.high)
