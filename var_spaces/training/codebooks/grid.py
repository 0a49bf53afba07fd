"""Finite scalar quantisation: the codebook is a fixed grid, only the autoencoder learns.

Rounding every channel to one of a few levels is choosing the nearest point of a grid, so the result
is an ordinary codebook that any VAR-style loader reads. Two levels everywhere is lookup-free
quantisation (MAGVIT-v2, https://arxiv.org/abs/2310.05737). Channels are clamped at the outer levels
by the choice of the nearest point, where the paper bounds them by tanh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks.base import CodebookMethod, codebook_method, option
from var_spaces.training.codebooks.quantizer import TrainingQuantizer


class GridQuantizer(TrainingQuantizer):
    """Codes never change."""

    def start_from(self, codes: Tensor) -> None:
        """The grid stays as it is."""


@codebook_method
@dataclass(frozen=True)
class Grid(CodebookMethod):
    """A grid of ``levels`` per channel in [-1, 1]; z_channels must be the number of levels."""

    name, title = "fsq", "Fixed grid (finite scalar quantisation, lookup-free with 2 levels)"
    paper = "https://arxiv.org/abs/2309.15505"

    levels: tuple[int, ...] = option((), "levels of every channel; empty: as even as V allows")

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not isinstance(one, int) or one < 2 for one in self.levels):
            raise VarSpacesError(
                f"[codebook] levels of 'fsq' must be numbers of at least 2, not {self.levels}."
            )

    def quantizer(self, config: ResidualVQConfig) -> GridQuantizer:
        v, z = config.vocab_size, config.z_channels
        levels = self.levels or even_levels(v, z)
        if len(levels) != z or math.prod(levels) != v:
            raise VarSpacesError(
                f"The grid {' x '.join(map(str, levels))} has {math.prod(levels)} points of "
                f"{len(levels)} channels: set vocab_size and z_channels to these, not {v} and {z}."
            )
        quantizer = GridQuantizer(config)
        axes = [torch.linspace(-1, 1, count) for count in levels]
        points = torch.cartesian_prod(*axes).view(v, z)
        quantizer.embedding.weight.requires_grad_(False).copy_(points)
        return quantizer


def even_levels(codes: int, channels: int) -> tuple[int, ...]:
    """Levels per channel whose product is ``codes``, as equal as its prime factors allow."""
    levels = [1] * channels
    rest, prime, factors = codes, 2, []
    while rest > 1:
        while rest % prime == 0:
            factors.append(prime)
            rest //= prime
        prime += 1
    for factor in reversed(factors):
        levels[levels.index(min(levels))] *= factor
    if min(levels) < 2:
        raise VarSpacesError(
            f"{codes} codes cannot fill {channels} channels with 2 or more levels each: set "
            f"z_channels to at most {len(factors)} for 'fsq'."
        )
    return tuple(sorted(levels, reverse=True))
