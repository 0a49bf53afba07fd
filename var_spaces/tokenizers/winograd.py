"""3x3 convolutions of wide layers on CPUs by Winograd's F(4x4, 3x3): a quarter of the products.

Lavin and Gray, https://arxiv.org/abs/1509.09308: tiles of 6 x 6 inputs and the kernels are brought
to 36 points, where the convolution is one product of matrices ``(tiles, C) (C, O)`` per point, and
sums of the products give 4 x 4 outputs. Results differ from the direct sum by rounding, about 1e-5
of the largest. Narrow layers stay direct: there the transforms cost more than they save.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces import cpu

TILE, PATCH = 4, 6  # outputs and inputs of a tile along a side
POINTS = PATCH * PATCH
MIN_CHANNELS = 128
MIN_POSITIONS = 512  # more than at 64 px, whose pictures stay what they were, bit for bit
TILES_AT_ONCE = 256  # their 36 points stay in the cache of a core

# Transforms of a side for the points 0, 1, -1, 2, -2 and infinity (section 4.3 of the paper).
INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with zero padding of 1; parameters are those of :class:`nn.Conv2d`."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__(width_in, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return winograd(x, self.weight, self.bias) if self._pays(x) else super().forward(x)

    def _pays(self, x: Tensor) -> bool:
        return (
            min(self.in_channels, self.out_channels) >= MIN_CHANNELS
            and x.shape[-2] * x.shape[-1] >= MIN_POSITIONS
            and cpu.is_plain(x, self.weight)
        )


def winograd(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolution of ``x (B, C, H, W)`` with ``weight (O, C, 3, 3)``, padded by 1, stride 1.

    Returns:
        ``(B, O, H, W)`` in channels-last memory, which the products are made in.
    """
    _, _, height, width = x.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    margins = (0, 0, 1, columns * TILE - width + 1, 1, rows * TILE - height + 1)
    padded = F.pad(x.permute(0, 2, 3, 1), margins)
    kernel_points, input_points, output_points = _transforms()
    kernels = (kernel_points @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(
        POINTS, weight.shape[1], weight.shape[0]
    )
    out = x.new_empty(len(x), rows, TILE, columns, TILE, len(weight))
    step = max(1, TILES_AT_ONCE // columns)
    for image, drawn in zip(padded, out, strict=True):
        for first in range(0, rows, step):
            count = min(step, rows - first)
            strip = image[first * TILE : (first + count) * TILE + PATCH - TILE]
            tiles = strip.unfold(0, PATCH, TILE).unfold(1, PATCH, TILE)  # (count, columns, C, 6, 6)
            points = input_points @ tiles.permute(3, 4, 0, 1, 2).reshape(POINTS, -1)
            products = points.view(POINTS, count * columns, -1) @ kernels
            sums = (output_points @ products.flatten(1)).view(TILE, TILE, count, columns, -1)
            place = drawn[first : first + count]
            torch.add(sums.permute(2, 0, 3, 1, 4), bias, out=place)
    whole = out.view(len(x), rows * TILE, columns * TILE, len(weight))
    return whole[:, :height, :width].permute(0, 3, 1, 2)


@lru_cache(maxsize=1)
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Of kernels ``(36, 9)``, inputs ``(36, 36)`` and outputs ``(16, 36)``: both sides at once."""
    with torch.inference_mode(False):
        sides = (torch.tensor(side, dtype=torch.float64) for side in (KERNEL, INPUT, OUTPUT))
        kernel, given, output = (torch.kron(side, side).float() for side in sides)
        return kernel, given, output
