"""Learning annealing of FVQ (https://arxiv.org/abs/2509.10140; formula of its training scripts).

The rate warms up, stays, and falls to almost nothing, so that codes that still move late do not
leave the encoder behind. It holds for all optimisers of a run.
"""

from __future__ import annotations

import math

from var_spaces.errors import VarSpacesError, did_you_mean

WARMUP_START = 0.005
SHAPES = ("constant", "linear", "cosine")
HOLD, END = 0.3, 0.01


def annealing(
    shape: str,
    now: float,
    total: float,
    *,
    warmup: float,
    hold: float = HOLD,
    start: float = WARMUP_START,
    end: float = END,
) -> float:
    """Factor on the peak learning rate, 0..1.

    Args:
        shape: "linear" or "cosine" fall, or "constant" after the warm-up.
        now: iterations (or share of the run) done, 0..total.
        total: last value of ``now``; with T iterations counted from 0 this is T - 1.
        warmup: linear growth from ``start`` to 1 while ``now < warmup``.
        hold: share of what follows the warm-up before the fall begins.
        end: factor at the end.
    """
    check_shape(shape)
    if now < warmup:
        return start + (1 - start) * now / warmup
    p = min((now - warmup) / (total - warmup), 1.0) if total > warmup else 1.0
    if shape == "constant" or p < hold:
        return 1.0
    left = (1 - p) / (1 - hold)  # from 1 to 0
    if shape == "cosine":
        left = 0.5 - 0.5 * math.cos(math.pi * left)
    return end + (1 - end) * left


def check_shape(shape: str) -> None:
    """Refuse an unknown shape (VarSpacesError)."""
    if shape not in SHAPES:
        raise VarSpacesError(
            f"Unknown annealing '{shape}': allowed are {', '.join(SHAPES)}, or nothing for the "
            f"rates of [train].{did_you_mean(shape, SHAPES)}"
        )
