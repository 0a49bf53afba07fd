"""A KV cache that holds nothing: keys and values pass through the attention of their own scale."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from var_spaces.cache.kv import KVCache, RawQueries


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
    ) -> Tensor:
        """Attend to ``k, v`` and forget them."""
        return F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), scale=scale)
