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
    while sinks and sum(lengths[: min(sinks, stored)]) * len(heads) > allowed:
        sinks -= 1
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
