"""Several scales enter a cache in one pass, each seeing itself and coarser ones."""

from __future__ import annotations

import torch
from torch import Tensor

from var_spaces.cache.beside import Beside, RawQueries, scales_of_tokens
from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule


class Prefill:
    """Stands in for an empty cache while scales ``0..scale`` run together.

    Args:
        cache: where keys and values go; its observers are not called.
        schedule: of the run.
        scale: last of the scales.
    """

    def __init__(self, cache: KVCache, schedule: ScaleSchedule, scale: int) -> None:
        self.cache = cache
        scales = scales_of_tokens(schedule, range(scale + 1), cache.device)
        self.visible = scales[:, None] >= scales

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
        beside: Beside | None = None,
        front: int = 0,
    ) -> Tensor:
        """As :meth:`KVCache.attend`, under the block-causal mask."""
        self.cache.receive(layer, k, v, front)
        # What stands in front counts as scale 0, which sees nothing but that and itself.
        rows = torch.cat((self.visible[:1].expand(front, -1), self.visible))
        views = self.cache.views(layer, pinned=True)
        return self.cache.attention(q, views, scale, beside, rows)
