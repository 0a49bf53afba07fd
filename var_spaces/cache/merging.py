"""Merging of evicted entries into kept ones, after LOOK-M (arXiv 2406.18139)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.cache.selection import CHUNK_ELEMENTS, best


def others(index: Tensor, count: int) -> Tensor:
    """Indices of ``0..count-1`` that are not in ``index (rows, g, m)``, ascending."""
    shape = (*index.shape[:2], count)
    gone = torch.ones(shape, device=index.device).scatter(-1, index, 0.0)
    return best(gone, count - index.shape[-1])


def nearest(evicted: Tensor, kept: Tensor) -> Tensor:
    """For every evicted key the most similar kept one by cosine.

    Args:
        evicted: keys ``(rows, g, e, D)``; ``kept`` ``(rows, g, m, D)``.

    Returns:
        ``(rows, g, e)`` indices into the kept keys.
    """
    kept = F.normalize(kept.float(), dim=-1).mT
    chunk = max(1, CHUNK_ELEMENTS // (kept.shape[0] * kept.shape[1] * kept.shape[3]))
    parts = F.normalize(evicted.float(), dim=-1).split(chunk, dim=2)
    return torch.cat([(part @ kept).argmax(-1) for part in parts], dim=-1)


def merge(x: Tensor, index: Tensor, rest: Tensor, target: Tensor, kind: str) -> Tensor:
    """Kept keys or values with what was evicted merged in.

    Args:
        x: all entries ``(rows, g, n, D)``.
        index: kept, ``(rows, g, m)``; ``rest``: evicted, ``(rows, g, e)``.
        target: kept entry that each evicted one goes to, ``(rows, g, e)``.
        kind: "average" takes the mean of an entry and all that come to it; "pivotal" first moves
            those half-way towards it.

    Returns:
        ``(rows, g, m, D)``.
    """
    held, gone = _take(x, index), _take(x, rest)
    wide = target.unsqueeze(-1).expand_as(gone)
    arrived = torch.zeros_like(held).scatter_add(2, wide, gone)
    count = torch.zeros_like(held).scatter_add(2, wide, torch.ones_like(gone))
    if kind == "pivotal":
        arrived = (arrived + count * held) / 2
    return (held + arrived) / (1 + count)


def _take(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(2, index.unsqueeze(-1).expand(*index.shape, x.shape[-1])).float()
