"""H2O, heavy-hitter oracle (arXiv 2306.14048): entries that got most attention, and recent ones.

The attention of all queries of all scales is summed per entry (§4, accumulated scores). Half of the
budget is for heavy hitters and half for the newest tokens, as in the paper's experiments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.cache.budget import BudgetPolicy, Held
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class H2O(BudgetPolicy):
    """Keep what was attended to most, and the newest tokens."""

    name = "h2o"
    title = "H2O: heavy hitters"
    paper = "https://arxiv.org/abs/2306.14048"

    recent: float = Field(0.5, ge=0, le=1, description="share of the budget for the newest tokens")

    def observe(self, held: Held) -> Tensor:
        from var_spaces.cache.selection import attention_mass

        mass = attention_mass(held.queries, held.k, held.score_scale)
        return mass if held.carried is None else mass + held.carried

    def importance(self, held: Held) -> Tensor:
        importance = held.carried.clone()
        importance[..., held.count - int(self.recent * held.limit) :].fill_(math.inf)
        return importance
