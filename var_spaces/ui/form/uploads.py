"""Pictures that visitors hand in are read by the one reader, not by gradio's."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from var_spaces import pictures
from var_spaces.ui.form.written import write_once
from var_spaces.ui.queue.wiring import refusal
from var_spaces.ui.server.blobs import DRAWINGS

FORMATS = ("PNG", "JPEG", "MPO", "WEBP")  # what browsers show and cameras write
LIMITS = pictures.Limits(formats=FORMATS)
UNREADABLE = "The picture cannot be read: hand in a whole PNG, JPEG or WebP file."


def be_careful() -> None:
    """All pictures of the page become pixels ``(H, W, 4)`` uint8, or are refused in one line; what
    is chosen is checked by us, who can say what is near and what is allowed. What is shown is
    written once (``written.py``).

    Gradio makes a component anew when it is updated, so its classes are changed, not single ones.
    """
    gr.Image.preprocess = _pixels_of_image
    gr.ImageEditor.convert_and_format_image = _pixels_of_piece
    gr.Dropdown.preprocess = _as_chosen
    gr.ImageEditor.blob_storage = property(lambda _: DRAWINGS, lambda *_: None)
    write_once()


def _as_chosen(self: gr.Dropdown, payload: Any) -> Any:
    return payload


def _pixels_of_image(self: gr.Image, payload: Any) -> np.ndarray | None:
    return _pixels(payload)


def _pixels_of_piece(self: gr.ImageEditor, file: Any, **_: Any) -> np.ndarray | None:
    """Background, layer or composite of a drawing."""
    return _pixels(file)


def _pixels(file: Any) -> np.ndarray | None:
    """Pixels of an uploaded file, or of bytes."""
    if file is None:
        return None
    held = bytes(file) if isinstance(file, bytes | bytearray | memoryview) else file.path
    try:
        if held is None:  # a picture inside the request, which no limit of uploads has seen
            raise pictures.Unreadable("no upload")
        content = held if isinstance(held, bytes) else pictures.content(held, LIMITS)
        return pictures.as_rgba(pictures.decode(content, LIMITS)[0])
    except pictures.TooLarge as error:
        raise refusal(f"The picture cannot be used: {error}.") from None
    except (pictures.Unreadable, OSError):
        raise refusal(UNREADABLE) from None
