"""The tokenizer of the model that draws as an encoder of how a subject looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from var_spaces.conditioning.content import ContentEncoder, EncodeContent
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch


@register
class OwnLatents(ContentEncoder):
    """Continuous latents of the tokenizer whose tokens are drawn, before they are quantised."""

    name = "tokenizer"
    title = "The model's own tokenizer"

    def load(self, tokenizer: Any, device: torch.device | str) -> EncodeContent:
        return lambda pictures: tokenizer.latent(pictures).flatten(2).transpose(1, 2)
