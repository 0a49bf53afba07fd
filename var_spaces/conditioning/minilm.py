"""The embedded text encoder: a pruned all-MiniLM-L6-v2 (https://arxiv.org/abs/2002.10957)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.conditioning.text import TextEncoder
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

    from var_spaces.conditioning.packed_encoder import PackedEncoder


@register
class MiniLM(TextEncoder):
    """States of every word piece, 384 channels; comes with this project, needs no network."""

    name = "minilm"
    title = "MiniLM, embedded"
    paper = "https://arxiv.org/abs/2002.10957"
    placeholder = "[MASK]"

    max_length: int = Field(64, ge=2, le=512, description="tokens that are read of a prompt")

    @property
    def weights(self) -> str:
        return self.name

    def load(self, device: torch.device | str) -> PackedEncoder:
        from var_spaces.conditioning.packed_encoder import load_minilm

        return load_minilm(device=device, max_length=self.max_length)

    def build(self) -> Any:
        from var_spaces.conditioning.packed_encoder import build_minilm

        return build_minilm()
