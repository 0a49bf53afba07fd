"""Content and style of several pictures, each learned by itself (CSD-VAR, ``content_style.py``).

One model that learned many pictures: a run says by the content hash of a picture which it draws
with. So a suite of pictures is drawn by one model, with one digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.adapters.base import Given, Loaded, Prepared
from var_spaces.adapters.content_style import ContentStyle
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import nn

MOST = 10_000
SHORT = 16  # hex digits of a hash that tell pictures apart


@register
class ContentStyles(ContentStyle):
    """Learned rows and a memory for every picture."""

    name = "content-styles"
    title = "Content and style of several pictures"
    paper = "https://arxiv.org/abs/2507.13984"

    pictures: tuple[str, ...] = Field(
        (), max_length=MOST, description="first 16 hex digits of the content hash of every picture"
    )
    contents: tuple[str, ...] = Field((), max_length=MOST, description="words for what they show")
    styles: tuple[str, ...] = Field((), max_length=MOST, description="words for how they are drawn")

    def build(self, config: Any) -> nn.Module:
        from torch.nn import ModuleList

        return ModuleList(self.one(at).build(config) for at in range(len(self.pictures)))

    def one(self, at: int) -> ContentStyle:
        """What was learned from one of them, as an adapter of its own.

        Raises:
            VarSpacesError: if the picture has no words.
        """
        if len(self.contents) != len(self.pictures) or len(self.styles) != len(self.pictures):
            raise VarSpacesError("pictures, contents and styles of the adapter differ in number.")
        shared = ("text_rows", "rank", "slots", "content_scale")
        return ContentStyle(
            content=self.contents[at],
            style=self.styles[at],
            **{name: getattr(self, name) for name in shared},
        )

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        """Raises VarSpacesError if the picture of the run is none of those that were learned."""
        source = getattr(given.inputs, "source", None) or ""
        if source[:SHORT] not in self.pictures:
            raise VarSpacesError(
                f"This model learned {len(self.pictures)} pictures, and this is none of them: give "
                "one of those, or learn it (python -m var_spaces.training content-style)."
            )
        at = self.pictures.index(source[:SHORT])
        own = Loaded(model.backbone, model.tokenizer, model.own[at], model.text_encoder)
        return self.one(at).prepare(own, given)
