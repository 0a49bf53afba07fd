"""Prompts as the condition of a run, with the unconditional rows that guidance needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from var_spaces.backbones.text_features import concatenate
from var_spaces.conditioning.text import TextEncoder

if TYPE_CHECKING:
    from var_spaces.conditioning.packed_encoder import PackedEncoder


@dataclass(frozen=True)
class TextConditioning:
    """One prompt per image.

    Args:
        prompts: of the images of the run.
        encoder: reads them.
        negative: prompt of the unconditional rows; None takes the model's learned empty text, as
            long as each prompt.
        loaded: the encoder in memory, if the run holds it.
    """

    prompts: tuple[str, ...]
    encoder: TextEncoder
    negative: str | None = None
    loaded: PackedEncoder | None = None

    def embed(self, backbone: Any, images: Sequence[int], guided: bool) -> Any:
        """Condition of ``B`` or ``2B`` rows: conditional rows, then unconditional ones."""
        device = next(backbone.parameters()).device
        text = self.encoder.encode([self.prompts[i] for i in images], device, self.loaded)
        if not guided:
            return backbone.condition(text)
        if self.negative is None:
            without = backbone.empty_text(text.lengths)
        else:
            without = self.encoder.encode([self.negative] * len(images), device, self.loaded)
        return backbone.condition(concatenate([text, without]))
