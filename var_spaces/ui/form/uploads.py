"""Pictures that visitors hand in: their kind and size are known before gradio decodes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, TypeVar

import gradio as gr
from PIL import Image

from var_spaces.errors import VarSpacesError
from var_spaces.tasks.pictures import MAX_PIXELS
from var_spaces.ui.queue.wiring import refusal

FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow knows more, some of which start other programs
UNREADABLE = "The picture cannot be read: hand in a whole PNG, JPEG or WebP file."

Control = TypeVar("Control", gr.Image, gr.ImageEditor)


def careful(control: Control) -> Control:
    """The same control, which refuses what is no picture, or too large, in one line."""
    name = "convert_and_format_image" if isinstance(control, gr.ImageEditor) else "preprocess"
    setattr(control, name, _reading(getattr(control, name)))
    return control


def check(file: Any) -> None:
    """Look at the head of an uploaded file, or of bytes.

    Raises:
        VarSpacesError: if the picture has more than 4096 x 4096 pixels.
        OSError: if it is no picture.
    """
    held = BytesIO(file) if isinstance(file, bytes | bytearray | memoryview) else file.path
    with Image.open(held, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width}x{image.height}"
            raise VarSpacesError(f"The picture is {size}; allowed is 4096x4096.")


def _reading(read: Callable) -> Callable:
    @wraps(read)
    def safe(file: Any, *arguments: Any, **named: Any) -> Any:
        if file is None:
            return None
        try:
            check(file)
            return read(file, *arguments, **named)
        except VarSpacesError as error:
            raise refusal(str(error)) from None
        except Exception:  # Pillow raises whatever its decoders run into
            raise refusal(UNREADABLE) from None

    return safe
