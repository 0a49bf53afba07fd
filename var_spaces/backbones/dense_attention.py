"""Attention of some queries to some keys, without a cache.

Training on a CPU in bfloat16 takes plain products, which use the processor's bfloat16 units:
forward and backward together take a third of the time of torch's fused kernel. They keep the
probabilities for the backward pass, so very long sequences stay with the fused one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_KEPT = 2**28  # probabilities that one layer may keep, 512 MB


def dense_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """``softmax(scale q k^T + mask) v``, ``(B, H, l, D)``.

    Args:
        q: ``(B, H, l, D)``.
        k, v: ``(B, H, n, D)``.
        mask: bool (True: look) or to add, spreads to ``(B, H, l, n)``; a query that looks nowhere
            gets zeros.
        scale: of the scores; None is ``1 / sqrt(D)``.
    """
    if not _by_products(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, -math.inf)
    return _Products.apply(q if scale == 1 else q * scale, k, v, mask)


def _by_products(q: Tensor, k: Tensor, v: Tensor) -> bool:
    return (
        q.device.type == "cpu"
        and q.dtype == k.dtype == v.dtype == torch.bfloat16
        and torch.is_grad_enabled()
        and any(x.requires_grad for x in (q, k, v))
        and q.shape[:3].numel() * k.shape[2] <= MAX_KEPT
    )


class _Products(torch.autograd.Function):
    """Both passes as batched matrix products; ``mask`` is added and has no gradient."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        scores = q @ k.mT
        seen = scores.softmax(-1) if mask is None else scores.add_(mask).softmax(-1).nan_to_num_()
        out = seen @ v
        ctx.save_for_backward(q, k, v, seen, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, seen, out = ctx.saved_tensors
        inner = (grad * out).sum(-1, keepdim=True)
        scores = (grad @ v.mT).sub_(inner).mul_(seen)
        return scores @ k, scores.mT @ q, seen.mT @ grad, None
