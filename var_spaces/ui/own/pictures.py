"""Pictures that a visitor hands in to teach from: read by our reader, cut to the square that the
visitor chose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from var_spaces import pictures
from var_spaces.errors import VarSpacesError
from var_spaces.ui.form.uploads import LIMITS
from var_spaces.ui.run import pixels

SHOWN = 320  # pixels of the longer side, to choose what is cut out
MOST_ZOOM = 4.0
WHOLE = (0.5, 0.5, 1.0)  # the largest square in the middle

# across and down, 0 to 1, where the square lies; how many times smaller it is than the largest one
Crop = tuple[float, float, float]


def read(paths: Sequence[str], most: int) -> list[np.ndarray]:
    """Pixels ``(H, W, 3)`` uint8, upright as the camera says.

    Raises:
        VarSpacesError: naming the picture that cannot be used.
    """
    if len(paths) > most:
        raise VarSpacesError(f"{len(paths)} pictures are too many: hand in {most} at most.")
    found = []
    for number, path in enumerate(paths, 1):
        what = f"Picture {number}"
        found.append(pictures.as_rgb(pictures.read(Path(path), what, LIMITS)))
        pictures.check_ratio(found[-1], what)
    return found


def shown(found: Sequence[np.ndarray]) -> dict[str, Any]:
    """What the browser cuts (``js/crops.js``)."""
    views = [
        {"src": pixels.preview(one, SHOWN), "width": one.shape[1], "height": one.shape[0]}
        for one in found
    ]
    return {"pictures": views, "crops": [list(WHOLE) for _ in found]}


def chosen(held: Any, count: int) -> list[Crop]:
    """The squares that the browser says; a picture that it does not name is cut in the middle."""
    crops = held.get("crops") if isinstance(held, Mapping) else None
    if not isinstance(crops, list) or len(crops) != count:
        return [WHOLE] * count
    return [_crop(crop) for crop in crops]


def _crop(crop: Any) -> Crop:
    whole = isinstance(crop, list) and len(crop) == 3
    if not whole or not all(isinstance(n, int | float) and math.isfinite(n) for n in crop):
        raise VarSpacesError("A square to cut out is three numbers: across, down and zoom.")
    across, down, zoom = crop
    return min(max(across, 0.0), 1.0), min(max(down, 0.0), 1.0), min(max(zoom, 1.0), MOST_ZOOM)


def cut(found: np.ndarray, crop: Crop) -> np.ndarray:
    """The chosen square of a picture."""
    height, width = found.shape[:2]
    side = max(1, round(min(height, width) / crop[2]))
    left, top = round(crop[0] * (width - side)), round(crop[1] * (height - side))
    return found[top : top + side, left : left + side]
