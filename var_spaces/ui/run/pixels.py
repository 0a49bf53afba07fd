"""Pixels as the page holds them: data URIs, so that the server keeps no files of pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from var_spaces.codecs import encode_png
from var_spaces.spec import RunSpec, save_png

SMALL = 128  # pixels: up to this side a lossless picture is also the smaller file
FILM_SIDE = 128


def picture(pixels: np.ndarray, spec: RunSpec) -> str:
    """A finished image ``(H, W, 3)`` uint8 as PNG that carries its spec, however it is saved."""
    return _uri("png", save_png(pixels, spec))


def plain(pixels: np.ndarray) -> str:
    """A finished image ``(H, W, 3)`` uint8 as PNG that says nothing about its run."""
    return _uri("png", encode_png(pixels))


def preview(pixels: np.ndarray, side: int | None = None) -> str:
    """A passing picture of ``(H, W, 3)`` uint8, at most ``side`` pixels wide and high."""
    image = Image.fromarray(pixels)
    if side is not None:
        image.thumbnail((side, side), Image.Resampling.BOX)
    small = max(image.size) <= SMALL
    buffer = io.BytesIO()
    if small:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "WEBP", quality=85, method=0)
    return _uri("png" if small else "webp", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
