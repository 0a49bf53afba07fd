"""Kinds of heads and their budgets (HACK, arXiv 2504.09261; HACK++, arXiv 2606.08302).

The papers do not state how the budget is split between the kinds; a structural head gets five
times as much as a contextual one, which at 70 % compression gives the two tolerances they report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def half_up(value: float) -> int:
    return math.floor(value + 0.5)


def contextual_heads(variance: Sequence[Sequence[float]], alpha: float) -> list[list[bool]]:
    """Which heads are contextual: those of lowest column variance over the whole model.

    Args:
        variance: ``[layer][head]`` variance over queries, summed over keys.
        alpha: share of contextual heads; ties go by layer and head.
    """
    ranked = sorted((v, layer, h) for layer, row in enumerate(variance) for h, v in enumerate(row))
    chosen = {(layer, h) for _, layer, h in ranked[: half_up(alpha * len(ranked))]}
    return [[(layer, h) in chosen for h in range(len(row))] for layer, row in enumerate(variance)]


def split_budget(mean: float, total: int, alpha: float, ratio: float) -> tuple[int, int]:
    """Entries of a contextual and of a structural head.

    Args:
        mean: entries per head on average.
        total: tokens of the whole schedule, which a head cannot exceed.
        alpha: share of contextual heads.
        ratio: structural over contextual.
    """
    contextual = mean / (alpha + ratio * (1 - alpha))
    structural = ratio * contextual
    if structural > total:
        structural = total
        contextual = (mean - (1 - alpha) * total) / alpha if alpha else 0
    return max(1, half_up(contextual)), max(1, half_up(structural))


def reliance(
    mass: Sequence[Sequence[Sequence[float]]], offsets: Sequence[int], scale: int
) -> list[float]:
    """How much later scales look back, per head of a layer: mean attention on a token of their
    history, summed over the scales after ``scale``.

    Args:
        mass: ``[head][scale][source]`` mean attention of a scale on a source scale.
        offsets: where every scale starts in the sequence, and the total.
    """
    later = range(scale + 1, len(offsets) - 1)
    return [sum(sum(head[k][:k]) / offsets[k] for k in later) for head in mass]


def fill(weights: Sequence[float], sizes: Sequence[int], mean: float, cap: int) -> list[int]:
    """Entries in proportion to ``weights``, between 1 and ``cap``, with the given mean.

    Args:
        weights: one per group of heads.
        sizes: heads of every group.
        mean: entries per head on average.
        cap: most entries of a head.
    """
    total, heads = mean * sum(sizes), sum(sizes)
    if total >= cap * heads:
        return [cap] * len(sizes)
    peak = max(weights) or 1.0  # shares of the peak, so that tiny weights divide safely
    weights = [max(weight / peak, 1e-9) for weight in weights]
    low, high = 0.0, cap / min(weights)
    for _ in range(100):  # the amount grows with the factor
        factor = (low + high) / 2
        amounts = [min(cap, max(1.0, factor * weight)) for weight in weights]
        used = sum(amount * size for amount, size in zip(amounts, sizes, strict=True))
        low, high = (factor, high) if used < total else (low, factor)
    return [max(1, math.floor(amount + 1e-9)) for amount in amounts]
