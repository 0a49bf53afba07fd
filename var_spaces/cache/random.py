"""Random eviction: what a policy must beat to be worth its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.cache.budget import BudgetPolicy, Held
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class Random(BudgetPolicy):
    """Keep tokens at random: every token of a layer and head has one rank for the whole run."""

    name = "random"
    title = "Random tokens"

    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of the ranks")

    def importance(self, held: Held) -> Tensor:
        import torch

        generator = torch.Generator().manual_seed(self.seed + 7919 * held.layer)
        ranks = torch.rand(held.cache.heads, held.schedule.total, generator=generator)
        ranks = ranks.to(held.positions.device)[held.heads]
        return ranks.expand(len(held.positions), -1, -1).gather(-1, held.positions)
