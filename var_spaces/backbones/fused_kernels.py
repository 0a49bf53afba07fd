"""Triton kernels of ``fused.py``: a program per token, its channels in one block."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def modulated_kernel(
    x, branch, gate, scale, shift, added, out, length, width, strides, eps, joins: tl.constexpr,
    block: tl.constexpr,
):  # fmt: skip
    """``LN(x + gate * branch) * (1 + scale) + shift`` of one token; ``added`` takes the sum.

    Grid ``(B * l,)``; ``x``, ``branch``, ``added`` and ``out`` are ``(B, l, C)``, contiguous; gate,
    scale and shift have ``strides`` numbers from one row of the batch to the next.
    """
    token = tl.program_id(0).to(tl.int64)
    row = token // length
    channel = tl.arange(0, block)
    inside = channel < width
    here = token * width + channel
    there = row * strides + channel
    value = tl.load(x + here, mask=inside, other=0.0)
    if joins:
        joined = tl.load(branch + here, mask=inside, other=0.0).to(tl.float32)
        value += tl.load(gate + there, mask=inside, other=0.0) * joined
        tl.store(added + here, value, mask=inside)
    mean = tl.sum(value, axis=0) / width
    centred = tl.where(inside, value - mean, 0.0)
    deviation = tl.sqrt(tl.sum(centred * centred, axis=0) / width + eps)
    factor = 1.0 + tl.load(scale + there, mask=inside, other=0.0)
    offset = tl.load(shift + there, mask=inside, other=0.0)
    result = centred / deviation * factor + offset
    tl.store(out + here, result.to(out.dtype.element_ty), mask=inside)


@triton.jit
def gated_kernel(x, branch, gate, added, length, width, strides, block: tl.constexpr):
    """``x + gate * branch`` of one token, likewise."""
    token = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block)
    inside = channel < width
    here = token * width + channel
    factor = tl.load(gate + token // length * strides + channel, mask=inside, other=0.0)
    joined = tl.load(branch + here, mask=inside, other=0.0).to(tl.float32)
    value = tl.load(x + here, mask=inside, other=0.0)
    tl.store(added + here, value + factor * joined, mask=inside)
