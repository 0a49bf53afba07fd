"""Pictures that controls show become files which are written whole and once.

Gradio writes equal pictures to one place anew each time, in place: a visitor who fetches an example
while another visitor is given it would get a torn file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import hash_bytes
from PIL import Image

from var_spaces.paths import write_file

NAME = "picture.png"
_IMAGE, _EDITOR = gr.Image.postprocess, gr.ImageEditor.postprocess


def write_once() -> None:
    """From now on; gradio makes a component anew when it is updated, so its classes are changed."""
    gr.Image.postprocess = _shown_image
    gr.ImageEditor.postprocess = _shown_pieces


def _shown_image(self: gr.Image, value: Any) -> Any:
    return _IMAGE(self, written(value, self.GRADIO_CACHE))


def _shown_pieces(self: gr.ImageEditor, value: Any) -> Any:
    return _EDITOR(self, written(value, self.GRADIO_CACHE))


def written(value: Any, folder: str) -> Any:
    """The same with every array of pixels as the path of a PNG file under ``folder``."""
    match value:
        case Mapping():
            return {key: written(part, folder) for key, part in value.items()}
        case list() | tuple():
            return [written(part, folder) for part in value]
        case np.ndarray():
            return str(_file(value, Path(folder)))
    return value


def _file(pixels: np.ndarray, folder: Path) -> Path:
    # Gradio's seed of this machine is in the hash, so nobody can guess where a picture is.
    place = folder / hash_bytes(str(pixels.shape).encode() + pixels.tobytes()) / NAME
    try:
        os.utime(place)  # gradio deletes files by their age
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        write_file(place, buffer.getvalue())
    return place
