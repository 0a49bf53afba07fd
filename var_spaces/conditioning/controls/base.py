"""Controls: maps that say where things are, extracted from a picture or drawn by hand.

A map is uint8, ``(H, W)`` for kinds in grey and ``(H, W, 3)`` for kinds in colour, of the size of
the picture to be drawn. Lengths that a kind has as parameters are fractions of the shorter side,
so that a map means the same at every size. OpenCV and numpy are imported when a map is made.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from var_spaces.errors import VarSpacesError
from var_spaces.methods import Method

if TYPE_CHECKING:
    import numpy as np

# How well a picture follows a map: see agreement.py
Score = Literal["f1", "mse", "iou"]


class Control(Method):
    """Base class of kinds of control.

    Attributes:
        colour: whether its maps are in colour.
        drawn: whether they are white drawings on black. Tokenizers know dark drawings on white
            better (soft edges of the embedded scenes come back from the embedded tokenizer with a
            correlation of 0.92 against 0.76), so that is what models get to see.
        score: how a picture is held against a map of this kind.
    """

    kind = "control"
    colour: ClassVar[bool] = False
    drawn: ClassVar[bool] = False
    score: ClassVar[Score]

    @abstractmethod
    def extract(self, picture: np.ndarray) -> np.ndarray:
        """The map of a picture ``(H, W, 3)`` uint8.

        Raises:
            VarSpacesError: if it needs a network whose weights are not there.
        """

    def read(self, picture: np.ndarray) -> np.ndarray:
        """A map that somebody made, as this kind has them: ``(H, W)`` or ``(H, W, 3)`` uint8."""
        import numpy as np

        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        if self.colour:
            return picture
        import cv2

        return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)

    def as_picture(self, found: np.ndarray) -> np.ndarray:
        """A map as models get to see it, ``(H, W, 3)`` uint8."""
        import numpy as np

        seen = 255 - found if self.drawn else found
        return seen if seen.ndim == 3 else np.repeat(seen[..., None], 3, axis=2)

    def agreement(self, wanted: np.ndarray, picture: np.ndarray) -> float:
        """How well a picture ``(H, W, 3)`` follows a map of its size: F1 of lines or overlap of
        areas, 0..1 and higher is better, or the mean squared difference in grey levels, lower is
        better.

        Raises:
            VarSpacesError: if the sizes differ.
        """
        from var_spaces.conditioning.controls import agreement

        found = self.extract(picture)
        if found.shape != wanted.shape:
            raise VarSpacesError(
                f"A map of {wanted.shape} cannot be compared with a picture of {picture.shape}."
            )
        return getattr(agreement, self.score)(wanted, found)


def side_of(picture: np.ndarray) -> int:
    """Pixels along the shorter side."""
    return min(picture.shape[:2])
