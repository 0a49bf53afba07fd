"""Draw with content and style that were learned from one picture, or with the words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field

from var_spaces.adapters.content_style_words import CONTENT, STYLE
from var_spaces.conditioning.prompts import clean_prompt
from var_spaces.methods import register
from var_spaces.tasks.base import picture
from var_spaces.tasks.text_to_image import TextTask

if TYPE_CHECKING:
    from var_spaces.zoo.cards import Card

Word = Annotated[str, Field(max_length=64), AfterValidator(clean_prompt)]
ADAPTERS = ("content-style", "content-styles")


@register
class StyleTask(TextTask):
    """In the prompt <content> is what the picture shows and <style> how it is drawn. A model that
    learned them draws those; any other draws the two words."""

    name = "style"
    title = "Content and style of a picture, apart"
    paper = "https://arxiv.org/abs/2507.13984"
    tab = ""

    source: str | None = picture("content hash of the picture they come from", optional=True)
    content: Word = Field("", description="word for what the picture shows, e.g. owl")
    style: Word = Field("", description="word for how it is drawn, e.g. glossy")

    def resolve(self, card: Card) -> Self:
        """The words stand in where nothing was learned."""
        if card.adapter and card.adapter.get("name") in ADAPTERS:
            return self
        prompt = self.prompt
        for place, word in (
            (CONTENT, self.content),
            (STYLE, self.style and f"{self.style} style"),
        ):
            prompt = prompt.replace(place, word) if word else prompt
        return self if prompt == self.prompt else self.model_copy(update={"prompt": prompt})
