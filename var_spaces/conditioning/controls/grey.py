"""The picture without its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from var_spaces.conditioning.controls.base import Control
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class Grey(Control):
    """Luma: 0.299 R + 0.587 G + 0.114 B."""

    name = "grey"
    title = "Grey picture"
    score = "mse"

    def extract(self, picture: np.ndarray) -> np.ndarray:
        import cv2

        return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
