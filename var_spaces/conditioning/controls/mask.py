"""The silhouette of what stands before the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from var_spaces.conditioning.controls.base import Control, side_of
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

RIM = 0.03  # of the side: what is taken for background
PLAIN = 10.0  # CIELAB distance within which a rim is plain
FURTHEST = 12.0  # CIELAB distance that is foreground on a plain background, at most
ROUNDS = 4


@register
class Mask(Control):
    """White silhouette on black, holes filled.

    A plain background (one colour, or one that changes evenly) is told from what differs from it;
    a varied one by GrabCut (https://doi.org/10.1145/1015706.1015720), with the rim as background.
    A picture that is all rim, one or two pixels wide, is taken for a plain one.
    """

    name = "mask"
    title = "Silhouette"
    paper = "https://doi.org/10.1145/1015706.1015720"
    score = "iou"
    drawn = True

    background: Literal["auto", "plain", "varied"] = Field(
        "auto", description="what the picture's background is like; auto looks at its rim"
    )

    def extract(self, picture: np.ndarray) -> np.ndarray:
        distance, plain = _from_background(picture)
        all_rim = _rim(picture).all()  # GrabCut has nothing to tell from it
        if all_rim or self.background == "plain" or (self.background == "auto" and plain):
            inside = distance > _threshold(distance)
        else:
            inside = _grab_cut(picture)
        return filled(inside)


def _from_background(picture: np.ndarray) -> tuple[np.ndarray, bool]:
    """CIELAB distance ``(H, W)`` of every pixel from a plane of colour fitted to the rim, and
    whether three quarters of the rim are near that plane."""
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    down, across = np.mgrid[:height, :width]
    plane = np.stack([np.ones_like(down), down / height, across / width], -1).reshape(-1, 3)
    rim = _rim(picture).ravel()
    fitted = rim
    for _ in range(ROUNDS):  # without what lies on the rim but is no background
        colours, *_ = np.linalg.lstsq(plane[fitted], lab[fitted], rcond=None)
        distance = np.linalg.norm(lab - plane @ colours, axis=1)
        fitted = rim & (distance <= max(3 * np.median(distance[rim]), 4.0))
    plain = np.mean(distance[rim] <= PLAIN) >= 0.75
    return distance.reshape(height, width), bool(plain)


def _rim(picture: np.ndarray) -> np.ndarray:
    import numpy as np

    inner = max(1, round(RIM * side_of(picture)))
    rim = np.ones(picture.shape[:2], dtype=bool)
    rim[inner:-inner, inner:-inner] = False
    return rim


def _threshold(distance: np.ndarray) -> float:
    """Between background and foreground after Otsu, but never so far that pale things are lost."""
    import cv2
    import numpy as np

    doubled = np.clip(2 * distance, 0, 255).astype(np.uint8)
    otsu, _ = cv2.threshold(doubled, 0, 255, cv2.THRESH_OTSU)
    return min(otsu / 2, FURTHEST)


def _grab_cut(picture: np.ndarray) -> np.ndarray:
    import cv2
    import numpy as np

    label = np.where(_rim(picture), cv2.GC_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # equal pictures have equal silhouettes
    cv2.grabCut(np.ascontiguousarray(picture), label, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    return (label == cv2.GC_FGD) | (label == cv2.GC_PR_FGD)


def filled(inside: np.ndarray) -> np.ndarray:
    """White where ``inside (H, W)`` bool is, and where it goes all round."""
    import cv2
    import numpy as np

    outlines, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    found = np.zeros(inside.shape, np.uint8)
    return cv2.drawContours(found, outlines, -1, 255, cv2.FILLED)
