"""Change a picture as a sentence says, with models that were taught to (VAREdit).

A picture of any shape is fitted as the published demo does it: pasted at the top left of a white
square and resized; the result is resized back and cut to the size of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import Field, field_validator

from var_spaces.decoding.search.scoring import Asked
from var_spaces.errors import InputError
from var_spaces.methods import parse, register
from var_spaces.tasks.base import Pictures, Task, picture
from var_spaces.tasks.text_to_image import Prompt
from var_spaces.tasks.unchanged import changed, mixed

if TYPE_CHECKING:
    from var_spaces.conditioning.text_conditioning import TextConditioning
    from var_spaces.zoo.cards import Card


@register
class Instruct(Task):
    """Another version of a picture, changed as the instruction says and otherwise the same."""

    name = "instruct"
    title = "Say what to change"
    paper = "https://arxiv.org/abs/2508.15772"
    tab = "edit"
    step = "instruction"
    edits = True

    source: str = picture("content hash of the picture")
    instruction: Prompt = Field(
        description="what to change, as one would say it",
        json_schema_extra={
            "content": "prompt",
            "ask": "say what to change, for example: make the apple blue",
        },
    )
    negative_prompt: Prompt = Field("", description="what guidance leads away from")
    restore: float = Field(
        0.0,
        ge=0,
        le=1,
        description="what changed less than this comes from the picture itself, in its own pixels; "
        "0 takes all as it was drawn",
        json_schema_extra={"later": True},
    )
    after: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{16}$",
        description="id of the run that drew the picture, if an earlier step did",
        json_schema_extra={"content": "run"},
    )

    @field_validator("instruction")
    @classmethod
    def _said(cls, text: str) -> str:
        if not text:
            raise InputError(cls.asks_for("instruction"), [["instruction"]])
        return text

    @property
    def needs(self) -> dict[str, str]:
        return {
            "instructions": "it changes a picture as a sentence says",
            "source-picture": "the model must look at the picture that is to be changed",
        }

    def asked(self, card: Card) -> Asked:
        return Asked(self.instruction)  # what words an image is held against; there is no caption

    def resolve(self, card: Card) -> Instruct:
        return self

    def conditioning(self, card: Card, count: int) -> TextConditioning:
        from var_spaces.conditioning.text_conditioning import TextConditioning

        encoder = parse("text_encoder", card.text_encoder)
        return TextConditioning((self.instruction,) * count, encoder, self.negative_prompt or None)

    def seen(self, name: str, height: int, width: int, pictures: Pictures) -> np.ndarray:
        return pasted(pictures[self.source], height, width)

    def beside(self, height: int, width: int, pictures: Pictures) -> np.ndarray:
        return pictures[self.source]  # a result has its size

    def longest_side(self, card: Card, pictures: Pictures) -> int:
        return max(pictures[self.source].shape[:2])

    def finish(self, image: np.ndarray, pictures: Pictures) -> np.ndarray:
        source = pictures[self.source]
        result = cut_back(image, *source.shape[:2])
        if not self.restore:
            return result
        height, width = image.shape[:2]
        weights = changed(image, pasted(source, height, width), self.restore)
        return mixed(result, source, cut_back(weights, *source.shape[:2]))


def pasted(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels ``(H, W, 3)`` uint8 at the top left of the smallest white canvas of the shape that is
    asked for, a square as published, resized to ``(height, width)`` (Lanczos)."""
    tall, wide = _canvas(pixels.shape[:2], height, width)
    canvas = np.full((tall, wide, 3), 255, np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return _resized(canvas, height, width)


def cut_back(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture of that size in what became of its canvas: ``(H, W, 3)`` uint8 or ``(H, W)``
    float32."""
    canvas = _canvas((height, width), *image.shape[:2])
    return _resized(image, *canvas)[:height, :width].copy()


def _canvas(picture: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Size of the canvas of shape ``height : width`` that holds a picture."""
    zoom = max(picture[0] / height, picture[1] / width)
    return max(round(height * zoom), picture[0]), max(round(width * zoom), picture[1])


def _resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
