"""Several scales enter a cache in one pass, each seeing itself and coarser ones."""

from __future__ import annotations

import torch
from torch import Tensor

from var_spaces.cache.kv import KVCache, RawQueries
from var_spaces.schedule import ScaleSchedule


class Prefill:
    """Stands in for an empty cache while scales ``0..scale`` run together.

    Args:
        cache: where keys and values go; its observers are not called.
        schedule: of the run.
        scale: last of the scales.
    """

    def __init__(self, cache: KVCache, schedule: ScaleSchedule, scale: int) -> None:
        lengths = torch.tensor(schedule.lengths[: scale + 1])
        ends = lengths.cumsum(0).repeat_interleave(lengths)
        self.cache = cache
        self.visible = (torch.arange(len(ends)) < ends[:, None]).to(cache.device)

    def begin_scale(self, scale: int) -> None:
        self.cache.begin_scale(scale)

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        raw: RawQueries | None = None,
    ) -> Tensor:
        """As :meth:`KVCache.attend`, under the block-causal mask."""
        return self.cache.attention(q, self.cache.append(layer, k, v), scale, self.visible)
