"""Schedules of FlexVAR for any size and number of steps (https://arxiv.org/abs/2502.20313).

The authors publish lists of square maps for 16 x 16 and 32 x 32 tokens. For other sizes a model's
own list is cut or continued by growing sides, and stretched to the shape that is wanted (ours).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

USUAL = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
# By side of the last map and number of steps, for models whose own list is the usual one.
PUBLISHED: dict[tuple[int, int], tuple[int, ...]] = {
    (16, 6): (1, 2, 4, 6, 10, 16),
    (16, 8): (1, 2, 3, 5, 7, 10, 13, 16),
    (16, 9): (1, 2, 3, 4, 5, 7, 10, 13, 16),
    (16, 10): USUAL,
    (16, 11): (1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16),
    (16, 12): (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16),
    (16, 13): (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16),
    (16, 14): (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16),
    (32, 15): (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 23, 32),
}
GROWTH = math.sqrt(2)  # of the sides beyond a model's own
CLOSE = 1.1  # a side this near to the last one is left out


def resized(own: Sequence[int], height: int, width: int, steps: int | None = None) -> ScaleSchedule:
    """The schedule of a model for another size, in its own or another number of steps.

    Args:
        own: sides of the model's own square maps.
        height, width: of the last map in tokens.
        steps: number of scales; None is what the model's own list gives at this size.

    Raises:
        VarSpacesError: if that many different maps do not exist below this size.
    """
    side = math.sqrt(height * width)
    fewest = 1 if height * width == 1 else 2
    most = max(math.floor(side), fewest)
    if steps is not None and not fewest <= steps <= most:
        raise VarSpacesError(
            f"A map of {height}x{width} tokens takes {fewest} to {most} steps, not {steps}."
        )
    if height == width == own[-1] and steps in (None, len(own)):
        return ScaleSchedule.square(own)
    square = height == width and tuple(own) == USUAL
    default = {16: 10, 32: 15}.get(height, 0)
    if square and (height, steps or default) in PUBLISHED:
        return ScaleSchedule.square(PUBLISHED[height, steps or default])
    sides = _continued(own, side)
    return stretched(sides if steps is None else _resampled(sides, steps), height, width)


def stretched(sides: Sequence[float], height: int, width: int) -> ScaleSchedule:
    """Square maps in the shape of the last one, ``height`` x ``width``; the first stays 1 x 1.

    ``h_k = max(1, round(s_k H / s_K))``, halves up, and alike for the width.
    """
    last = sides[-1]

    def scaled(side: float, extent: int) -> int:
        return max(1, math.floor(side * extent / last + 0.5))

    inner = [(scaled(side, height), scaled(side, width)) for side in sides[1:-1]]
    sizes = [(1, 1), *inner, (height, width)] if len(sides) > 1 else [(height, width)]
    return ScaleSchedule(tuple(sizes))


def fitting(own: ScaleSchedule, height: int, width: int) -> ScaleSchedule:
    """A model's own square schedule if it ends at ``height`` x ``width``, else in that shape."""
    if own.last == (height, width):
        return own
    return stretched([side for side, _ in own.sizes], height, width)


def _continued(own: Sequence[int], side: float) -> list[float]:
    """The model's own sides up to ``side``, continued if it is larger."""
    sides: list[float] = [float(s) for s in own if s * CLOSE <= side or s == 1 < side]
    while sides and sides[-1] * GROWTH * CLOSE <= side and sides[-1] >= own[-1]:
        sides.append(sides[-1] * GROWTH)
    return [*sides, side]


def _resampled(sides: Sequence[float], steps: int) -> list[float]:
    """As many sides along the same curve; whole numbers that grow, and the same last one."""
    if steps == 1:
        return [sides[-1]]
    found: list[float] = []
    for k in range(steps - 1):
        at = k * (len(sides) - 1) / (steps - 1)
        low = int(at)
        side = sides[low] + (at - low) * (sides[min(low + 1, len(sides) - 1)] - sides[low])
        found.append(max(math.floor(side + 0.5), found[-1] + 1 if found else 1))
    limit = math.ceil(sides[-1])
    for k in reversed(range(steps - 1)):  # what grew too far leaves room for the next
        limit = min(limit - 1, found[k])
        found[k] = limit
    return [*found, sides[-1]]
