"""Draw what a prompt says, for models whose card names a text encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field

from var_spaces.aspect import NAMES, shaped
from var_spaces.conditioning.prompts import MAX_PROMPT, clean_prompt, with_faces
from var_spaces.decoding.search.scoring import Asked
from var_spaces.methods import parse, register
from var_spaces.schedule import ScaleSchedule
from var_spaces.tasks.base import Task

if TYPE_CHECKING:
    from var_spaces.conditioning.text_conditioning import TextConditioning
    from var_spaces.zoo.cards import Card

Prompt = Annotated[str, Field(max_length=MAX_PROMPT), AfterValidator(clean_prompt)]
Aspect = Literal[
    "1:1", "4:5", "5:4", "3:4", "4:3", "2:3", "3:2", "4:7", "7:4", "1:2", "2:1", "2:5", "5:2",
    "1:3", "3:1",
]  # fmt: skip


class TextTask(Task):
    """A task whose condition is a prompt, for models whose card names a text encoder."""

    prompt: Prompt = Field("", description="what to draw", json_schema_extra={"content": "prompt"})
    negative_prompt: Prompt = Field("", description="what guidance leads away from")
    aspect: Aspect = Field("1:1", description="width : height")

    @property
    def needs(self) -> dict[str, str]:
        return {"text": "it asks for a prompt"}

    def resolve(self, card: Card) -> Self:
        return self

    def asked(self, card: Card) -> Asked:
        return Asked(self.prompt)

    def schedule(self, card: Card) -> ScaleSchedule:
        if self.aspect == "1:1":
            return card.schedule
        return shaped(card.architecture["patch_nums"], NAMES[self.aspect])

    def conditioning(self, card: Card, count: int) -> TextConditioning:
        from var_spaces.conditioning.text_conditioning import TextConditioning

        encoder = parse("text_encoder", card.text_encoder)
        return TextConditioning((self.prompt,) * count, encoder, self.negative_prompt or None)


@register
class TextToImage(TextTask):
    """New images from words."""

    name = "text-to-image"
    title = "Draw a prompt"
    paper = "https://arxiv.org/abs/2412.04431"

    faces: bool = Field(
        False,
        description="a prompt about persons is read with Infinity's words for good faces behind it",
        json_schema_extra={"later": True, "needs": "people"},
    )

    def conditioning(self, card: Card, count: int) -> TextConditioning:
        found = super().conditioning(card, count)
        if not self.faces:
            return found
        return replace(found, prompts=tuple(map(with_faces, found.prompts)))
