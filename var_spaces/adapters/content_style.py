"""Content and style of one picture as separate rows of text: CSD-VAR.

CSD-VAR: Content-Style Decomposition in Visual Autoregressive Models
(https://arxiv.org/abs/2507.13984), on a text model of Infinity's kind. In a prompt ``<content>``
stands for what the picture shows and ``<style>`` for how it is drawn: the encoder reads the words
for them with learned rows behind. What names the content is projected out of the rows of style, and
the first block sees a few learned keys and values where one of the two is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.adapters.base import Adapter, Given, Loaded, Prepared
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import nn


@register
class ContentStyle(Adapter):
    """Learned rows of text for content and for style, and a memory in the first block."""

    name = "content-style"
    title = "Content and style of one picture"
    paper = "https://arxiv.org/abs/2507.13984"

    content: str = Field("", max_length=64, description="word for what the picture shows")
    style: str = Field("", max_length=64, description="word for how it is drawn")
    text_rows: int = Field(4, ge=1, le=64, description="learned rows each; published 4")
    rank: int = Field(
        10, ge=0, le=256, description="directions of content taken out of style; 0 is none"
    )
    slots: int = Field(1, ge=0, le=16, description="learned keys and values each; published 1")
    content_scale: int = Field(
        3, ge=1, le=63, description="first scale that sees the memory of content; published 3"
    )

    @property
    def needs(self) -> dict[str, str]:
        return {"text": "content and style are asked for in words"}

    def build(self, config: Any) -> nn.Module:
        from var_spaces.adapters.content_style_network import ContentStyleNetwork

        return ContentStyleNetwork(self, config)

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        from var_spaces.adapters.content_style_run import ContentStyleRun, asked

        prompt = getattr(given.inputs, "prompt", "")
        return ContentStyleRun(self, model.own, model.text_encoder, asked(prompt))
