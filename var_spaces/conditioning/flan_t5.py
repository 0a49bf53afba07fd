"""Flan-T5, the text encoder of the published Infinity models (https://arxiv.org/abs/2210.11416)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.conditioning.prompts import PLACEHOLDER
from var_spaces.conditioning.text import TextEncoder
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch

    from var_spaces.conditioning.packed_encoder import PackedEncoder

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@register
class FlanT5(TextEncoder):
    """States of the encoder half; the end-of-text token counts as text."""

    name = "flan-t5"
    title = "Flan-T5"
    paper = "https://arxiv.org/abs/2210.11416"
    placeholder = PLACEHOLDER

    model: str = Field(
        "google/flan-t5-xl", max_length=256, description="folder, or id on the Hugging Face Hub"
    )
    max_length: int = Field(512, ge=2, le=512, description="tokens that are read of a prompt")

    @property
    def weights(self) -> str:
        return self.model

    def load(self, device: torch.device | str) -> PackedEncoder:
        from var_spaces.conditioning.packed_encoder import load_t5

        return load_t5(self.model, device, self.max_length, self._may_fetch())

    def build(self) -> Any:
        from var_spaces.conditioning.packed_encoder import build_t5

        return build_t5(self.model, self._may_fetch())

    def dtype(self, device: torch.device | str) -> torch.dtype:
        from var_spaces.conditioning.packed_encoder import t5_dtype

        return t5_dtype(device)

    def _may_fetch(self) -> bool:
        offline = any(
            os.environ.get(name, "").lower() in ("1", "true") for name in OFFLINE_VARIABLES
        )
        return not offline and not os.path.isdir(self.model)
