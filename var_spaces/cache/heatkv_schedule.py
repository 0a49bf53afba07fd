"""What HeatKV drops when (arXiv 2605.14877): static per head, layer and source scale.

An atom is all that one head of one layer keeps of one source scale. Atoms are ranked by the
attention that later scales pay to them; after each scale the same number of lowest atoms of every
source scale goes, as few as the budget allows, and none returns.
"""

from __future__ import annotations

from collections.abc import Sequence

Atoms = list[list[list[set[int]]]]  # [scale][layer][head] -> source scales held after the scale


def future_mass(head: Sequence[Sequence[float]], source: int) -> float:
    """Mean over later scales of the attention on all tokens of ``source`` (S-CAS).

    Args:
        head: ``[scale][source]`` mean attention of one head.
    """
    later = [row[source] for row in head[source + 1 :]]
    return sum(later) / len(later) if later else 0.0


def sinks_held(lengths: Sequence[int], budget: float, sinks: int, heads: int = 1) -> int:
    """How many of the first scales, at most ``sinks``, a budget holds in all heads.

    With fewer than asked for the paper's method is infeasible; ours goes on without the others.

    Args:
        lengths: tokens per scale.
        budget: share of the tokens of all scales but the last.
        heads: of all layers together.
    """
    stored = len(lengths) - 1
    held, allowed = min(sinks, stored), budget * heads * sum(lengths[:stored])
    while held and sum(lengths[:held]) * heads > allowed:
        held -= 1
    return held


def plan_atoms(
    mass: Sequence[Sequence[Sequence[Sequence[float]]]],
    lengths: Sequence[int],
    budget: float,
    sinks: int,
) -> Atoms:
    """Source scales that every head holds after every scale; nothing of the last is stored.

    Args:
        mass: ``[layer][head][scale][source]`` mean attention.
        lengths: tokens per scale.
        budget: share of the tokens of all scales but the last, over all heads.
        sinks: first scales that are never dropped; fewer where the budget does not hold them.
    """
    heads = [(layer, h) for layer, row in enumerate(mass) for h in range(len(row))]
    stored = len(lengths) - 1
    allowed = budget * len(heads) * sum(lengths[:stored])
    sinks = sinks_held(lengths, budget, sinks, len(heads))
    orders = [
        sorted(heads, key=lambda atom, s=source: (future_mass(mass[atom[0]][atom[1]], s), atom))
        for source in range(stored)
    ]
    plan, dropped = [], 0
    for scale in range(len(lengths)):
        sources = range(min(scale + 1, stored))
        fixed = sum(lengths[s] for s in sources if s < sinks) * len(heads)
        free = sum(lengths[s] for s in sources if s >= sinks)
        while free and fixed + free * (len(heads) - dropped) > allowed + 1e-9:
            dropped += 1
        gone = [set(orders[s][:dropped]) if s >= sinks else set() for s in sources]
        plan.append(
            [
                [{s for s in sources if (layer, h) not in gone[s]} for h in range(len(row))]
                for layer, row in enumerate(mass)
            ]
        )
    return plan
