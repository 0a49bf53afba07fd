"""Pictures that people hand in: read safely, hashed by content, fitted to a model.

A run spec is small JSON, so it names pictures by the SHA-256 of their pixels and the pixels travel
beside it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from var_spaces.errors import VarSpacesError

MAX_PIXELS = 4096 * 4096


def as_rgb(picture: Any) -> np.ndarray:
    """Pixels ``(H, W, 3)`` uint8 of a PIL image or array; transparency becomes white.

    Raises:
        VarSpacesError: if it is no picture or has more than 4096 x 4096 pixels.
    """
    image = _open(picture, "The picture")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def as_mask(picture: Any) -> np.ndarray:
    """Mask ``(H, W)`` uint8, 255 where the picture is at least half bright (or True), else 0."""
    if isinstance(picture, np.ndarray) and picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    grey = np.asarray(_open(picture, "The mask").convert("L"))
    return np.where(grey >= 128, 255, 0).astype(np.uint8)


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of the size and the bytes of uint8 pixels."""
    head = "x".join(map(str, pixels.shape)).encode() + b"\n"
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def fit(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest centred part of the right shape, resized to ``(height, width)`` (Lanczos)."""
    return np.asarray(_fit(pixels, height, width, Image.Resampling.LANCZOS))


def fit_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask ``(height, width)`` bool of the same centred part; True where at least half is 255."""
    return np.asarray(_fit(mask, height, width, Image.Resampling.BOX)) >= 128


def _fit(pixels: np.ndarray, height: int, width: int, method: Image.Resampling) -> Image.Image:
    # Cut out first: a filter that looks beyond the cut would mix in what was cut away.
    h, w = pixels.shape[:2]
    across, down = min(w, round(h * width / height) or 1), min(h, round(w * height / width) or 1)
    left, top = (w - across) // 2, (h - down) // 2
    part = Image.fromarray(pixels[top : top + down, left : left + across])
    return part.resize((width, height), method)


def _open(picture: Any, what: str) -> Image.Image:
    """A PIL image, upright, of bounded size."""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            raise VarSpacesError(
                f"{what} must be an array (H, W) or (H, W, 3) of uint8, not {picture.dtype} of "
                f"shape {picture.shape}."
            )
        try:
            picture = Image.fromarray(picture)
        except (TypeError, ValueError):
            raise VarSpacesError(f"{what} has a shape no image has: {picture.shape}.") from None
    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise VarSpacesError(f"{what} must be a PIL image or an array, not {kind}.")
    if not 0 < picture.width * picture.height <= MAX_PIXELS:
        raise VarSpacesError(f"{what} is {picture.width}x{picture.height}; allowed is 4096x4096.")
    try:
        return ImageOps.exif_transpose(picture)
    except OSError as error:
        raise VarSpacesError(f"{what} cannot be read: {error}.") from None
