"""Sliding window: the newest tokens only, the plainest baseline (named in arXiv 2505.19602)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from var_spaces.cache.budget import BudgetPolicy, Held
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class SlidingWindow(BudgetPolicy):
    """Keep the tokens drawn last: the end of the finest map so far."""

    name = "sliding-window"
    title = "Sliding window: the newest tokens"
    paper = "https://arxiv.org/abs/2004.05150"

    def importance(self, held: Held) -> Tensor:
        return held.positions.float()
