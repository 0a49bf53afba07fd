"""StreamingLLM: the first tokens, which collect attention, and the newest (arXiv 2309.17453)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.cache.budget import BudgetPolicy, Held
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class StreamingLLM(BudgetPolicy):
    """Keep attention sinks and the newest tokens."""

    name = "streaming-llm"
    title = "StreamingLLM: first and newest tokens"
    paper = "https://arxiv.org/abs/2309.17453"

    sinks: int = Field(5, ge=0, le=1024, description="first tokens that always stay")

    def importance(self, held: Held) -> Tensor:
        return held.positions.float().masked_fill(held.positions < self.sinks, math.inf)
