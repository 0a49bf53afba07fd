"""A KV cache that holds nothing: keys and values pass through the attention of their own scale."""

from __future__ import annotations

from torch import Tensor

from var_spaces.cache.beside import Beside, RawQueries
from var_spaces.cache.kv import GroupView, KVCache


class PassingCache(KVCache):
    """Attention of a scale to itself, in the interface of a cache."""

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
        """Attend to ``k, v`` and forget them, but for the first ``front``, which are pinned."""
        seen = GroupView(slice(0, self.heads), k, v)
        if self.pinned[layer]:
            pinned = self.views(layer, pinned=True)[0]
            seen = GroupView(seen.heads, *Beside(pinned.k, pinned.v).before(k, v))
        if front:
            self.pin(layer, k[:, :, :front], v[:, :, :front])
        return self.attention(q, [seen], scale, beside)
