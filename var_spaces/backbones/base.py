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

    def kv_layout(self) -> tuple[int, int, int]:
        """``(layers, heads, head_dim)`` of the KV cache."""
        ...

    def modulation(self, cond: Any, schedule: ScaleSchedule | None = None) -> Any:
        """What follows from condition and schedule, to compute once per run.

        ``cond`` is what the backbone's own ``condition(...)`` made of labels or text: a tensor
        ``(B, C)``, or an object with its ``shape``, ``device`` and indexing by rows.
        """
        ...

    def start(self, cond: Any) -> Tensor:
        """Input of scale 0, ``(B, l_0, C)``."""
        ...

    def embed_scale(self, tokens: Tensor, scale: int) -> Tensor:
        """Input ``(B, l_k, C)`` of a scale from the tokenizer's ``(B, l_k, z)``."""
        ...

    def forward_scale(
        self,
        x: Tensor,
        cond: Any,
        scale: int,
        cache: KVCache,
        blocks: Sequence[int] | None = None,
        modulation: Any = None,
    ) -> Tensor:
        """Hidden states ``(B, l_k, C)`` of one scale; extends the cache.

        A backbone that offers ``prefill`` also takes ``first``: then ``x`` holds scales
        ``first..scale`` and the cache masks.
        """
        ...

    def logits(self, hidden: Tensor, cond: Any, modulation: Any = None) -> Tensor:
        """Logits ``(B, l, V)`` float32, or ``(B, l, bits, 2)``."""
        ...
