"""Draw a thing somewhere else, from one picture of it: for models that take a subject in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field

from var_spaces.adapters.subject_layers import IT
from var_spaces.conditioning.prompts import clean_prompt
from var_spaces.methods import register
from var_spaces.tasks.base import Pictures, picture
from var_spaces.tasks.text_to_image import TextTask

if TYPE_CHECKING:
    from var_spaces.zoo.cards import Card

WORKING_SIDE = 256  # pixels of the longer side at which a background is looked for


@register
class SubjectTask(TextTask):
    """The picture says what the thing looks like, the prompt where it is; the word of its kind
    belongs into the prompt, or beside it with <it> in its place."""

    name = "subject"
    title = "Draw a thing from a picture of it"
    paper = "https://arxiv.org/abs/2509.26127"
    tab = "subject"

    source: str | None = picture("content hash of the picture of the thing", optional=True)
    word: Annotated[str, Field(max_length=64), AfterValidator(clean_prompt)] = Field(
        "", description="broad noun for the thing, put where the prompt says <it>"
    )
    background: Literal["kept", "white"] = Field(
        "kept", description="of the picture; white paints over one plain colour behind the thing"
    )

    @property
    def needs(self) -> dict[str, str]:
        return {**super().needs, "subject-picture": "it draws a thing from a picture"}

    def resolve(self, card: Card) -> Self:
        """<it> gives way to the word."""
        if not self.word or IT not in self.prompt:
            return self
        return self.model_copy(update={"prompt": self.prompt.replace(IT, self.word)})

    def seen(self, name: str, height: int, width: int, pictures: Pictures) -> np.ndarray | None:
        """A square with the thing, whatever the shape of what is drawn."""
        from var_spaces.pictures import fit

        if self.source is None:
            return None
        pixels = pictures[self.source]
        pixels = on_white(pixels) if self.background == "white" else pixels
        return fit(pixels, max(height, width), max(height, width))


def on_white(pixels: np.ndarray, tolerance: int = 24) -> np.ndarray:
    """A picture ``(H, W, 3)`` uint8 with white for the one colour that reaches in from its edge.

    Args:
        tolerance: largest difference from the median of the edge, per channel, 0..255.
    """
    step = -(-max(pixels.shape[:2]) // WORKING_SIDE)
    small = pixels[::step, ::step].astype(np.int16)
    edge = np.concatenate((small[0], small[-1], small[:, 0], small[:, -1]))
    alike = (np.abs(small - np.median(edge, axis=0)) <= tolerance).all(-1)
    behind = np.zeros_like(alike)
    behind[[0, -1]], behind[:, [0, -1]] = alike[[0, -1]], alike[:, [0, -1]]
    while True:  # it spreads to neighbours of its colour
        wider = behind.copy()
        for axis in (0, 1):
            for shift in (-1, 1):
                moved = np.roll(behind, shift, axis)
                ends = [slice(None)] * 2
                ends[axis] = 0 if shift == 1 else -1
                moved[tuple(ends)] = False
                wider |= moved
        wider &= alike
        if (wider == behind).all():
            break
        behind = wider
    whole = behind.repeat(step, 0).repeat(step, 1)[: pixels.shape[0], : pixels.shape[1]]
    return np.where(whole[..., None], np.uint8(255), pixels)
