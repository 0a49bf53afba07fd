"""Rotary position embedding in two dimensions, as Infinity uses it (arXiv 2412.04431).

Half of a head's pairs turn with the row, half with the column. Positions of coarse scales are laid
on the grid of the finest one, so that equal places in the picture have equal angles.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.aspect import reference_grid
from var_spaces.schedule import ScaleSchedule

BASE = 10_000.0
MAP_SIDE = 128  # long side of the map that mode 1 shrinks


class Rotary(NamedTuple):
    """Cosines and sines of the positions of a sequence, both ``(L, D / 2)`` float32."""

    cos: Tensor
    sin: Tensor

    def span(self, positions: slice) -> Rotary:
        return Rotary(self.cos[positions], self.sin[positions])

    def turn(self, x: Tensor) -> Tensor:
        """Rotate adjacent pairs of ``x (..., l, D)``; computed in float32, dtype kept."""
        even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        turned = (even * self.cos - odd * self.sin, even * self.sin + odd * self.cos)
        return torch.stack(turned, -1).flatten(-2).to(x.dtype)


@lru_cache(maxsize=64)
def rotary(
    schedule: ScaleSchedule,
    head_dim: int,
    mode: int = 2,
    extent: int = 64,
    device: torch.device | None = None,
) -> Rotary:
    """Table of a whole schedule, on any device ("meta" gets values on the CPU).

    Args:
        head_dim: channels *D* of a head, a multiple of 4.
        mode: 0 raw row and column, 1 a large map of the reference grid's ratio shrunk to every
            scale, 2 (published) positions on the reference grid of the schedule, rounded half to
            even.
        extent: rows of the reference grid at 1:1.
    """
    with torch.inference_mode(False):  # the table outlives the run that asks for it first
        whole = reference_grid(schedule, extent)
        if mode == 1:
            parts = [_shrunk(size, head_dim, whole) for size in schedule.sizes]
        else:
            parts = [_grid(size, head_dim, whole if mode == 2 else size) for size in schedule.sizes]
        cos, sin = (torch.cat(maps) for maps in zip(*parts, strict=True))
        return Rotary(cos.to(device), sin.to(device))


def angles(rows: Tensor, columns: Tensor, head_dim: int) -> Tensor:
    """Angles ``(h * w, D / 2)``, row-major, of positions ``rows (h,)`` and ``columns (w,)``."""
    steps = torch.arange(head_dim // 4, device="cpu", dtype=torch.float32)
    frequencies = BASE ** (-2 * steps / (head_dim / 2))
    shape = (len(rows), len(columns), len(frequencies))
    by_row = (rows[:, None] * frequencies)[:, None].expand(shape)
    by_column = (columns[:, None] * frequencies)[None].expand(shape)
    return torch.cat((by_row, by_column), -1).flatten(0, 1)


def grid_angles(
    size: tuple[int, int],
    head_dim: int,
    reference: tuple[int, int],
    offset: tuple[int, int] = (0, 0),
) -> Tensor:
    """Angles ``(h * w, D / 2)`` of one scale on a reference grid, rounded half to even.

    Args:
        offset: row and column of the reference grid's first corner.
    """
    places = [
        (torch.arange(n, device="cpu", dtype=torch.float32) * (whole / n)).round() + first
        for n, whole, first in zip(size, reference, offset, strict=True)
    ]
    return angles(*places, head_dim)


def _grid(
    size: tuple[int, int], head_dim: int, reference: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of one scale on a reference grid."""
    turned = grid_angles(size, head_dim, reference)
    return turned.cos(), turned.sin()


def _shrunk(
    size: tuple[int, int], head_dim: int, reference: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of one scale by resizing the maps of a large grid of the ratio of all."""
    longest = max(reference)
    large = tuple(MAP_SIDE * n // longest for n in reference)
    maps = []
    for part in _grid(large, head_dim, large):
        image = part.T.reshape(1, -1, *large)
        small = F.interpolate(image, size=size, mode="bilinear", align_corners=True)
        maps.append(small.flatten(2)[0].T)
    return maps[0], maps[1]
