"""Teacher-forced attention of VAR and HMAR: one block-sparse kernel against a call per scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.gpu import machine
from var_spaces.backbones.block_attention import flex_attention, per_block_attention
from var_spaces.backbones.config import PATCH_NUMS

ROWS, HEADS, CHANNELS = 4, 16, 64


def rows(device: torch.device, tiny: bool = False) -> Iterator[dict[str, Any]]:
    """Forward and backward, seconds of every pattern and way."""
    nums = (1, 2, 4) if tiny else PATCH_NUMS[1024]
    lengths = tuple(side * side for side in nums)
    shape = (3, ROWS, HEADS, sum(lengths), CHANNELS)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    for pattern in ("diagonal", "causal"):
        # The kernel has no gradients on a CPU.
        ways = {"a call per scale": per_block_attention}
        if device.type == "cuda":
            ways["one kernel"] = flex_attention
        for way, attend in ways.items():
            qkv = torch.randn(shape, device=device, dtype=dtype, requires_grad=True)
            call = partial(_both, attend, qkv, lengths, pattern)
            seconds = machine.seconds(call, device)
            name = f"attention, {len(lengths)} scales, {pattern}, with gradients"
            yield {"case": name, "way": way, "seconds": seconds, "runs": 5}


def _both(
    attend: Callable[..., torch.Tensor], qkv: torch.Tensor, lengths: tuple[int, ...], pattern: str
) -> None:
    out = attend(*qkv.unbind(0), CHANNELS**-0.5, lengths, pattern)
    out.float().square().mean().backward()
    qkv.grad = None
