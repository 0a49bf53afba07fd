"""Several scales enter a cache in one pass, each seeing itself and coarser ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from var_spaces.cache.beside import Beside, RawQueries, scales_of_tokens
from var_spaces.cache.kv import GroupView, KVCache
from var_spaces.schedule import ScaleSchedule


class Prefill:
    """Stands in for an empty cache while scales ``0..scale`` run together.

    On a CPU all queries attend at once under a mask. On a GPU those of every scale attend to what
    they see: no mask is made, and nothing is computed that it would hide.

    Args:
        cache: where keys and values go; its observers are not called.
        schedule: of the run.
        scale: last of the scales.
    """

    def __init__(self, cache: KVCache, schedule: ScaleSchedule, scale: int) -> None:
        self.cache, self.schedule, self.scale = cache, schedule, scale
        self.by_scale = cache.device.type == "cuda"

    @cached_property
    def visible(self) -> Tensor:
        """Where tokens look, ``(l, l)`` bool."""
        scales = scales_of_tokens(self.schedule, range(self.scale + 1), self.cache.device)
        return scales[:, None] >= scales

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
        """As :meth:`KVCache.attend`, block-causal."""
        self.cache.receive(layer, k, v, front)
        views = self.cache.views(layer, pinned=True)
        if self.by_scale:
            return self._by_scale(q, views, scale, beside, front)
        # What stands in front counts as scale 0, which sees nothing but that and itself.
        rows = torch.cat((self.visible[:1].expand(front, -1), self.visible))
        return self.cache.attention(q, views, scale, beside, rows)

    def _by_scale(
        self,
        q: Tensor,
        views: Sequence[GroupView],
        scale: float,
        beside: Beside | None,
        front: int,
    ) -> Tensor:
        """Attention of every scale to the entries up to its own."""
        offsets, parts = self.schedule.offsets[: self.scale + 2], []
        for start, end in pairwise(offsets):
            own = slice(front + start if start else 0, front + end)
            seen = []
            for view in views:
                held = view.k.shape[2] - offsets[-1] + end  # with all that is pinned
                seen.append(GroupView(view.heads, view.k[:, :, :held], view.v[:, :, :held]))
            near = beside and beside.of_queries(own)
            parts.append(self.cache.attention(q[:, :, own], seen, scale, near))
        return torch.cat(parts, 2)
