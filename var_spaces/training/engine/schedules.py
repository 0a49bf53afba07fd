"""Learning-rate and weight-decay schedules of the published VAR recipe.

All are functions of the progress of a run, so a run can be measured in iterations or in seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

from var_spaces.errors import VarSpacesError

# (progress after warm-up 0..1, final factor) -> factor on the peak learning rate
Decay = Callable[[float, float], float]

WARMUP_START = 0.005


def linear_after(hold: float, q: float, end: float) -> float:
    """1 until ``hold``, then a straight line to ``end``."""
    return 1.0 if q < hold else end + (1 - end) * (1 - q) / (1 - hold)


def exponential_after(hold: float, q: float, end: float) -> float:
    """1 until ``hold``, then ``end ** t`` with t from 0 to 1."""
    return 1.0 if q < hold else end ** ((q - hold) / (1 - hold))


def cosine(q: float, end: float) -> float:
    """Half a cosine from 1 to ``end``."""
    return end + (1 - end) * (0.5 + 0.5 * math.cos(math.pi * q))


def bent_line(bend: float, q: float, end: float) -> float:
    """Two straight lines that meet at ``bend``, half way between 1 and the direct line there."""
    middle = (1 + end + (1 - end) * (1 - bend)) / 2
    if q < bend:
        return 1 + (middle - 1) * q / bend
    return end + (middle - end) * (1 - q) / (1 - bend)


DECAYS: dict[str, Decay] = {
    "cos": cosine,
    "lin": partial(linear_after, 0.15),
    "lin0": partial(linear_after, 0.05),
    "lin00": partial(linear_after, 0.0),
    "exp": partial(exponential_after, 0.15),
}


def decay(name: str) -> Decay:
    """A decay by name: cos, lin, lin0, lin00, exp, or linX with X in (0, 1), e.g. lin0.8.

    Raises:
        VarSpacesError: for another name.
    """
    if name in DECAYS:
        return DECAYS[name]
    bend = re.fullmatch(r"lin(0?\.\d+)", name)
    if bend and 0 < float(bend[1]) < 1:
        return partial(bent_line, float(bend[1]))
    raise VarSpacesError(
        f"Unknown learning-rate schedule '{name}'; choose {', '.join(DECAYS)} or linX with "
        "0 < X < 1, such as lin0.8."
    )


def lr_factor(
    name: str,
    now: float,
    total: float,
    *,
    warmup: float,
    end: float,
    start: float = WARMUP_START,
) -> float:
    """Factor on the peak learning rate.

    Args:
        name: the decay, see :func:`decay`.
        now: iterations (or seconds) done, 0..total.
        total: the last value of ``now``; with T iterations counted from 0 this is T - 1.
        warmup: linear growth from ``start`` to 1 while ``now < warmup``.
        end: factor at the end, 0..1.
    """
    if now < warmup:
        return start + (1 - start) * now / warmup
    progress = min((now - warmup) / (total - warmup), 1.0) if total > warmup else 1.0
    return decay(name)(progress, end)


def weight_decay(now: float, total: float, *, first: float, last: float) -> float:
    """Weight decay that moves from ``first`` to ``last`` along half a cosine over the whole run."""
    progress = min(now / total, 1.0) if total > 0 else 1.0
    return last + (first - last) * (0.5 + 0.5 * math.cos(math.pi * progress))
