"""Tensor code that cache policies share: who to keep, and how much attention an entry gets.

Everything is batched over rows and heads; nothing reads one row to decide about another.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.cache.widths import odd

CHUNK_ELEMENTS = 1 << 24  # probabilities held at a time: 64 MiB in float32


def best(importance: Tensor, count: int) -> Tensor:
    """Indices ``(..., count)`` int64 of the largest of ``importance (..., n)``, ascending.

    Of equal values the earlier entry wins, on every device.
    """
    order = importance.argsort(dim=-1, descending=True, stable=True)
    return order[..., :count].sort(dim=-1).values


def probabilities(q: Tensor, k: Tensor, score_scale: float) -> Tensor:
    """Softmax attention ``(rows, g, l, n)`` float32 of ``q (rows, g, l, D)`` on ``k``."""
    return (q.float() @ k.float().mT * score_scale).softmax(dim=-1)


def attention_mass(q: Tensor, k: Tensor, score_scale: float) -> Tensor:
    """Attention that every entry gets, summed over the queries: ``(rows, g, n)`` float32.

    Args:
        q: queries ``(rows, g, l, D)``; they are taken in chunks, so that the memory stays bounded.
        k: keys ``(rows, g, n, D)``.
        score_scale: factor on the scores.
    """
    per_query = k.shape[0] * k.shape[1] * k.shape[2]
    parts = q.split(max(1, CHUNK_ELEMENTS // per_query), dim=2)
    return sum(probabilities(part, k, score_scale).sum(dim=2) for part in parts)


def pool(scores: Tensor, kernel: int, kind: str) -> Tensor:
    """1-D pooling of ``scores (rows, g, n)`` over neighbours in the cache, size kept.

    Args:
        kernel: odd width.
        kind: "max", or "average", where the zeros beyond both ends count.

    Raises:
        ValueError: for an even width, which has no middle.
    """
    pooling = {"max": F.max_pool1d, "average": F.avg_pool1d}[kind]
    return pooling(scores, odd(kernel), stride=1, padding=kernel // 2)


def spread(count: int, tokens: int, device: torch.device) -> Tensor:
    """``count`` of ``tokens`` indices at equal distances from 0 on; all where there are fewer."""
    count = min(count, tokens)
    return torch.arange(count, device=device) * tokens // count


def grid(size: tuple[int, int], side: int, device: torch.device) -> Tensor | None:
    """Tokens at the centres of ``side`` x ``side`` patches of a map, ``(side²,)`` ascending.

    None where the map is smaller than that. The centre of an even patch is rounded down, and what
    is left over at the far edges belongs to no patch (as in the released ScaleKV).
    """
    if min(size) < side:
        return None
    steps = torch.arange(side, device=device)
    rows, columns = (steps * (extent // side) + (extent // side - 1) // 2 for extent in size)
    return (rows[:, None] * size[1] + columns).flatten()
