"""Drafters, refiners and how many entries each of them keeps (ScaleKV, arXiv 2505.19602).

Scales are counted from 0; what is called "Scale n" in the released files is scale n - 1 here, and
an entry says how much history *that* scale may look back on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

EPSILON = 1e-6
# The released files keep at least 200 of 650 entries in a refiner.
FLOOR = 200 / 650


class Budget(NamedTuple):
    """Entries of a drafter and of a refiner before one scale, and the most a drafter can hold."""

    drafter: int
    refiner: int
    limit: int


def selectivity(current: Sequence[float], history_top: Sequence[float]) -> list[float]:
    """Attention selectivity of every layer at one scale as z-scores (equations 2 and 3).

    Args:
        current: mean attention on the scale's own tokens, per layer.
        history_top: mean sum of the largest weights on earlier tokens, per layer.
    """
    index = [c * t for c, t in zip(current, history_top, strict=True)]
    mean, deviation = fmean(index), pstdev(index)
    return [(value - mean) / (deviation + EPSILON) for value in index]


def choose_drafters(scores: Mapping[int, Sequence[float]], count: int) -> list[tuple[int, int]]:
    """The ``count`` pairs (layer, scale) of lowest selectivity, lowest first.

    Args:
        scores: :func:`selectivity` per scale.
    """
    pairs = [(z, scale, layer) for scale, row in scores.items() for layer, z in enumerate(row)]
    return [(layer, scale) for _, scale, layer in sorted(pairs)[:count]]


def allocate(
    lengths: Sequence[int], uniform: int, layers: int, drafters: Mapping[int, int], floor: int
) -> dict[int, Budget]:
    """Budgets whose mean over the layers is ``uniform`` at every scale.

    Drafters get the largest whole number for which refiners get one too, no less than ``floor``.
    This rule was inferred from the released files and reproduces all of their entries; the linear
    decay of the paper (equation 4) does not.

    Args:
        lengths: tokens per scale.
        uniform: mean entries per layer.
        layers: layers of the model.
        drafters: how many layers are drafters, per scale; scales left out have none.
        floor: least entries of a refiner.

    Returns:
        Budgets of the scales whose history is longer than ``uniform``.
    """
    scales = [k for k in range(len(lengths)) if sum(lengths[:k]) > uniform]
    budgets: dict[int, Budget] = {}
    for k in scales:
        before = budgets.get(k - 1)
        limit = before.drafter + lengths[k - 1] if before else sum(lengths[:k])
        budgets[k] = _share(uniform * layers, drafters.get(k, 0), layers, limit, floor)
    return budgets


def _share(total: int, drafters: int, layers: int, limit: int, floor: int) -> Budget:
    refiners = layers - drafters
    if not drafters or not refiners:
        each = min(limit, total // layers)
        return Budget(each, each, limit)
    for most in range(limit, total // layers - 1, -1):
        rest, left = divmod(total - drafters * most, refiners)
        if not left and rest >= floor:
            return Budget(most, rest, limit)
    # Whole numbers do not come out even: drafters first, refiners what remains.
    most = min(limit, max(total // layers, (total - refiners * floor) // drafters))
    return Budget(most, (total - drafters * most) // refiners, limit)
