"""What the scale loop asks of a next-scale backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule


class Backbone(Protocol):
    """Condition -> logits of one scale, given the KV cache of the run.

    An implementation holds weights only. What changes during a run (cache, modulation) belongs to
    the caller, so runs can be interleaved.
    """

    schedule: ScaleSchedule
    num_classes: int
    null_label: int

    def kv_layout(self) -> tuple[int, int, int]:
        """``(layers, heads, head_dim)`` of the KV cache."""
        ...

    def condition(self, labels: Tensor, styles: Tensor | None = None) -> Tensor:
        """Condition ``(B, C)`` of labels ``(B,)``."""
        ...

    def modulation(self, cond: Tensor) -> Any:
        """What follows from the condition alone, to compute once per run."""
        ...

    def start(self, cond: Tensor) -> Tensor:
        """Input of scale 0, ``(B, l_0, C)``."""
        ...

    def embed_scale(self, tokens: Tensor, scale: int) -> Tensor:
        """Input ``(B, l_k, C)`` of a scale from the tokenizer's ``(B, l_k, z)``."""
        ...

    def forward_scale(
        self,
        x: Tensor,
        cond: Tensor,
        scale: int,
        cache: KVCache,
        blocks: Sequence[int] | None = None,
        modulation: Any = None,
    ) -> Tensor:
        """Hidden states ``(B, l_k, C)`` of one scale; extends the cache."""
        ...

    def logits(self, hidden: Tensor, cond: Tensor, modulation: Any = None) -> Tensor:
        """Logits ``(B, l, V)`` float32."""
        ...
