"""Prompts as the condition of a run, with the unconditional rows that guidance needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.conditioning.text import TextEncoder
from var_spaces.decoding.backbone import NULL, BatchRow, blocks

if TYPE_CHECKING:
    from var_spaces.conditioning.packed_encoder import PackedEncoder
    from var_spaces.decoding.backbone import Adapting, Condition, TextBackbone


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

    def notes(self) -> tuple[str, ...]:
        """Sentences about what is not read of the prompts, if the encoder is in memory."""
        prompts = [*self.prompts, *([self.negative] if self.negative else [])]
        return self.encoder.notes(prompts, self.loaded) if self.loaded else ()

    def embed(
        self, backbone: TextBackbone, rows: Sequence[BatchRow], adapter: Adapting | None = None
    ) -> Condition:
        """Condition of all rows; those named "null" have no prompt, or the negative one."""
        device = next(backbone.parameters()).device

        def encode(prompts: Sequence[str]) -> TextFeatures:
            return self.encoder.encode(prompts, device, self.loaded)

        parts: dict[str, TextFeatures] = {}
        for name, images in blocks(rows).items():
            negative = name == NULL and self.negative is not None
            prompts = [self.negative if negative else self.prompts[i] for i in images]
            if name == NULL and not negative:
                parts[name] = backbone.empty_text(next(iter(parts.values())).lengths)
            else:
                parts[name] = adapter.text(prompts, name, encode) if adapter else encode(prompts)
        return backbone.condition(concatenate(list(parts.values())))

    @property
    def company(self) -> tuple[str, TextEncoder, str | None]:
        return "text", self.encoder, self.negative

    def along(self, others: Sequence[Self]) -> Self:
        return replace(self, prompts=tuple(p for run in (self, *others) for p in run.prompts))
