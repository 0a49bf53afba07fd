"""Sampling noise that belongs to an image, not to a batch, a device or a cache policy.

Every (seed, image, slot, scale, part) has its own counter-based CPU generator: Philox-4x64 with the
128-bit key ``blake2b("var-spaces noise 1 <seed> <image> <slot> <scale> <part>", digest_size=16)``.
So image *i* of a batch sees the numbers it would see alone, on any device, however much other
images or scales consumed. (A torch CPU generator would use only 32 bits of its seed, so two of a
few hundred thousand streams would already coincide.)

Uniform numbers come from the raw 64-bit words: each word gives two 32-bit halves, low half first,
and the top 23 bits *n* of a half give ``u = (n + 1/2) / 2^23``, which is never 0 or 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.loop import device_noise

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """Whose noise a row of the batch draws.

    Args:
        image: index of the image in the run (``spec.first + i``).
        slot: candidate of that image, for strategies that draw several and keep the best.
    """

    image: int
    slot: int = 0


class Noise(Protocol):
    """Where sampling takes its noise from; tests put recorded numbers in its place."""

    def gumbel(self, rows: Sequence[Row], scale: int, part: int, tokens: int, vocab: int) -> Tensor:
        """Standard Gumbel noise ``(B, l, V)``, float32."""
        ...


@dataclass(frozen=True)
class SeededNoise:
    """The noise of a seed, by the rule at the top of this module.

    Args:
        seed: 0..2**63 - 1.
        device: where the numbers are made. The uniform ones have the same bits everywhere; a
            device's logarithms may differ in the last place.
    """

    seed: int
    device: torch.device = CPU

    def origin(self, row: Row) -> tuple[int, int]:
        """Seed and index of the image of a row."""
        return self.seed, row.image

    def gumbel(self, rows: Sequence[Row], scale: int, part: int, tokens: int, vocab: int) -> Tensor:
        generators = [generator(self.seed, row.image, row.slot, scale, part) for row in rows]
        if self.device.type == "cpu":
            return gumbel_noise(generators, tokens, vocab)
        noise = device_noise.gumbel(generators, tokens * vocab, self.device)
        return noise.view(-1, tokens, vocab)


def generator(
    seed: int, image: int, slot: int = 0, scale: int = 0, part: int = 0
) -> np.random.Philox:
    """The generator of one image, candidate slot, scale and part (pass) of that scale."""
    words = ("var-spaces noise 1", seed, image, slot, scale, part)
    digest = blake2b(" ".join(map(str, words)).encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(digest, "little"))


def gumbel_noise(generators: Sequence[np.random.Philox], tokens: int, vocab: int) -> Tensor:
    """Gumbel noise ``-log(-log u)`` of shape ``(len(generators), tokens, vocab)``, float32."""
    rows = [torch.from_numpy(uniform(g, tokens * vocab)) for g in generators]
    noise = torch.stack(rows).view(len(rows), tokens, vocab)
    return noise.log_().neg_().log_().neg_()


def uniform(bits: np.random.Philox, count: int) -> np.ndarray:
    """``count`` float32 numbers in (0, 1); both ends excluded, every value exact."""
    words = bits.random_raw((count + 1) // 2)
    if sys.byteorder == "big":
        words = words.byteswap()
    halves = words.view("<u4")[:count]
    return ((halves >> 9).astype(np.float32) + np.float32(0.5)) * np.float32(2**-23)
