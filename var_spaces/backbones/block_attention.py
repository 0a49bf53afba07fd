"""Attention over consecutive blocks of tokens, one block per scale (HMAR, arXiv 2506.04421).

Block-diagonal: a token sees its own scale (HMAR). Block-causal: it sees coarser scales too (VAR).
Two ways, one result: one dense attention per block, exact on any device and without any masked
work, or one block-sparse kernel for all blocks (FlexAttention), for CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from var_spaces.backbones.dense_attention import dense_attention
from var_spaces.cache.beside import Attend, Beside, RawQueries, joined

Pattern = Literal["diagonal", "causal"]
SMALLEST_FLEX_HEAD = 16  # channels per head that the CUDA kernel needs; also a power of two


def own_scale(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    raw: RawQueries | None = None,
    beside: Beside | None = None,
) -> Tensor:
    """Attention of one scale to itself, without a cache."""
    k, v, mask = joined(beside, Beside(k, v), q.shape[2])
    return dense_attention(q, k, v, mask, scale)


def block_attend(lengths: Sequence[int], pattern: Pattern = "diagonal") -> Attend:
    """Attention of a whole teacher-forced sequence.

    Args:
        lengths: tokens of every block; they add up to the sequence.
        pattern: what a token sees.
    """
    lengths = tuple(lengths)

    def attend(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        raw: RawQueries | None = None,
        beside: Beside | None = None,
    ) -> Tensor:
        if beside is None and _flex_runs(q):
            return flex_attention(q, k, v, scale, lengths, pattern)
        return per_block_attention(q, k, v, scale, lengths, pattern, beside)

    return attend


def per_block_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    lengths: Sequence[int],
    pattern: Pattern,
    beside: Beside | None = None,
) -> Tensor:
    """One dense attention per block; all tensors ``(B, H, L, D)``."""
    parts = []
    for start, end in pairwise(accumulate(lengths, initial=0)):
        seen = slice(start if pattern == "diagonal" else 0, end)
        near = beside and beside.of_queries(slice(start, end))
        keys, values, mask = joined(near, Beside(k[:, :, seen], v[:, :, seen]), end - start)
        own = q[:, :, start:end]
        parts.append(dense_attention(own, keys, values, mask, scale))
    return torch.cat(parts, 2)


def flex_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    lengths: Sequence[int],
    pattern: Pattern,
    *,
    with_lse: bool = False,
) -> Any:
    """One kernel that skips tiles without any visible pair; all tensors ``(B, H, L, D)``.

    Compiled on CUDA. Elsewhere it runs uncompiled and without gradients, to be compared with.

    Args:
        with_lse: return also the natural logarithm of the sum of the exponentials of the scores
            that each token sees, ``(B, H, L)``.
    """
    mask = block_mask(tuple(lengths), pattern, q.device)
    if not with_lse:
        return _flex(q.is_cuda)(q, k, v, scale=scale, block_mask=mask)
    from torch.nn.attention.flex_attention import AuxRequest

    wanted = AuxRequest(lse=True)
    out, more = _flex(q.is_cuda)(q, k, v, scale=scale, block_mask=mask, return_aux=wanted)
    return out, more.lse


@lru_cache(maxsize=16)
def block_mask(lengths: tuple[int, ...], pattern: Pattern, device: torch.device) -> Any:
    """The tiles that have visible pairs, as FlexAttention wants them."""
    from torch.nn.attention.flex_attention import create_block_mask

    counts = torch.tensor(lengths, device=device)
    block = torch.arange(len(lengths), device=device).repeat_interleave(counts)

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return block[query] == block[key] if pattern == "diagonal" else block[query] >= block[key]

    return create_block_mask(visible, None, None, len(block), len(block), device=device)


@lru_cache(maxsize=2)
def _flex(compiled: bool) -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention as plain

    return torch.compile(plain, dynamic=False) if compiled else plain


def _flex_runs(q: Tensor) -> bool:
    """Whether the block-sparse kernel takes these queries."""
    channels = q.shape[-1]
    return q.is_cuda and channels >= SMALLEST_FLEX_HEAD and channels & (channels - 1) == 0
