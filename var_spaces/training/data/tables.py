"""Look-up tables of the sampler: where objects may stand, and which inks show on a background."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from var_spaces.training.data.palette import BACKGROUNDS, INKS, luminance

GRID = 10_000
"""Positions and sizes are whole multiples of 1/GRID, so that records stay short and exact."""

SLOTS = 3

_NEAR, _MIDDLE, _FAR = GRID // 4, GRID // 2, GRID - GRID // 4
_QUADRANTS = ((_NEAR, _NEAR), (_FAR, _NEAR), (_NEAR, _FAR), (_FAR, _FAR))
_CENTRE = (_MIDDLE, _MIDDLE)
_DIAGONALS = (
    ((_NEAR, _NEAR), _CENTRE, (_FAR, _FAR)),
    ((_FAR, _NEAR), _CENTRE, (_NEAR, _FAR)),
)

USUAL = {
    1: (_CENTRE,),
    2: (_QUADRANTS[0], _QUADRANTS[3]),
    3: _QUADRANTS[:3],
}
"""Where things stand that stand as usual, in the order in which people read.

A scale's tokens are drawn independently of each other. Where a caption leaves several placements
open, each token of 2 x 2 draws from another one, and both things come out the same or one is lost.
"""

# Contrast in luminance units below which an ink drawing would fade into the background.
_CONTRAST = 60.0


def layout_tables() -> dict[str, Tensor]:
    """All ordered placements of one, two and three objects.

    ``anchors`` (L, 3, 2) holds centres in units of 1/GRID. Placements of n objects are the
    ``layouts[n]`` rows from ``layout_start[n]``. ``crowded`` (L,) marks three on a diagonal;
    ``usual`` (n + 1,) is the row of ``USUAL[n]``.
    """
    by_count = [
        [],
        [(_CENTRE,)],
        list(permutations(_QUADRANTS, 2)),
        [*permutations(_QUADRANTS, 3), *(p for d in _DIAGONALS for p in permutations(d))],
    ]
    every = [placement for placements in by_count for placement in placements]
    padded = [[*placement, *([_CENTRE] * (SLOTS - len(placement)))] for placement in every]
    lengths = torch.tensor([len(placements) for placements in by_count])
    return {
        "anchors": torch.tensor(padded),
        "layouts": lengths,
        "layout_start": lengths.cumsum(0) - lengths,
        "usual": torch.tensor([0, *(every.index(USUAL[n]) for n in USUAL)]),
        "crowded": torch.tensor([len(p) == SLOTS and _CENTRE in p for p in every]),
    }


def ink_tables() -> dict[str, Tensor]:
    """Inks that stand out from both colours of a background.

    ``ink_ids`` (top, bottom, n) lists ink ids, the usual one first where it fits; the first
    ``ink_count`` (top, bottom) entries count. ``inks`` (n, 3) holds the colours, 0..255.
    """
    light = [luminance(colour) for colour in BACKGROUNDS.values()]
    inks = [luminance(colour) for colour in INKS.values()]
    ids = torch.zeros(len(light), len(light), len(inks), dtype=torch.int64)
    count = torch.zeros(len(light), len(light), dtype=torch.int64)
    for top, one in enumerate(light):
        for bottom, two in enumerate(light):
            contrast = [min(abs(ink - one), abs(ink - two)) for ink in inks]
            # Between a dark and a light colour nothing may stand out enough: take the best.
            fit = [i for i, c in enumerate(contrast) if c >= _CONTRAST]
            fit = fit or [max(range(len(inks)), key=lambda i: contrast[i])]
            ids[top, bottom, : len(fit)] = torch.tensor(fit)
            count[top, bottom] = len(fit)
    colours = torch.tensor(list(INKS.values()), dtype=torch.float32)
    return {"ink_ids": ids, "ink_count": count, "inks": colours}


def stands_out(ink: tuple[int, int, int], background: tuple[str, str]) -> bool:
    """Whether an ink drawing can be seen on a background of two named colours."""
    light = luminance(ink)
    return all(abs(light - luminance(BACKGROUNDS[name])) >= _CONTRAST for name in background)


def pair_tables(pairs: Tensor, styles: int) -> dict[str, Tensor]:
    """Where each style's run of (P, 2) ``pairs``, sorted by style, starts and how long it is."""
    chosen = pairs[:, 1][:, None] == torch.arange(styles)
    return {"pairs": pairs, "first": chosen.int().argmax(0), "length": chosen.sum(0)}


def inverse(ids: Tensor, size: int) -> Tensor:
    """(size,) position of each id in ``ids``, or -1."""
    positions = torch.full((size,), -1)
    positions[ids] = torch.arange(len(ids))
    return positions
