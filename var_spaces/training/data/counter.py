"""Random numbers by position: a hash of (seed, row, stream), the same on every device.

A generator would make row i depend on all rows before it, and on the device. A counter hashed by
the finaliser of SplitMix64 (Steele, Lea, Flood 2014) needs no state, so any row can be drawn alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_UNIT = 1 << 32


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Scramble int64 values, one to one."""
    for bits, factor in _MIX:
        x = (x ^ _shift(x, bits)) * _signed(factor)
    return x ^ _shift(x, 31)


def draw(seed: int, rows: Tensor, streams: int) -> Tensor:
    """Uniform 32-bit numbers: (B,) int64 row numbers -> (B, streams) int64 in 0..2**32 - 1."""
    key = mix(mix(torch.tensor([_signed(seed)])) + _signed(_GOLDEN)).to(rows.device)
    base = mix(rows * _signed(_GOLDEN) + key)
    steps = torch.arange(1, streams + 1, device=rows.device) * _signed(_GOLDEN)
    return _shift(mix(base[:, None] + steps), 32)


def below(x: Tensor, count: Tensor | int) -> Tensor:
    """Map 32-bit numbers to 0..count - 1, evenly; count is at most 2**31."""
    return (x * count) >> 32


def chance(x: Tensor, probability: float) -> Tensor:
    """True with the given probability."""
    return x < round(probability * _UNIT)


def cumulative(weights: Iterable[float]) -> Tensor:
    """Thresholds for :func:`choose`."""
    total = torch.tensor(list(weights), dtype=torch.float64).cumsum(0)
    return (total / total[-1] * _UNIT).round().long()


def choose(x: Tensor, thresholds: Tensor) -> Tensor:
    """Positions drawn with the weights given to :func:`cumulative`."""
    return torch.searchsorted(thresholds, x, right=True)
