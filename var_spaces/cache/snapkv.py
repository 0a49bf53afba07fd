"""SnapKV (arXiv 2404.14469): entries that the newest queries look at, smoothed over neighbours.

The observation window is the end of the current map. Its tokens always stay; with budgets below
twice the window it shrinks to half of the budget. Kernel and window are those of the public code's
defaults, scaled down: the authors of ScaleKV do not state theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from var_spaces.cache.budget import BudgetPolicy, Held
from var_spaces.cache.widths import odd
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class SnapKV(BudgetPolicy):
    """Keep what the last tokens of the current map attend to."""

    name = "snapkv"
    title = "SnapKV: what the newest tokens look at"
    paper = "https://arxiv.org/abs/2404.14469"

    window: int = Field(16, ge=1, le=1024, description="newest tokens whose queries decide")
    kernel: int = Field(5, ge=1, le=63, description="width of the pooling over neighbours, odd")
    pooling: Literal["average", "max"] = Field("average", description="how neighbours are pooled")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        return odd(kernel)

    def importance(self, held: Held) -> Tensor:
        from var_spaces.cache.selection import attention_mass, pool

        window = max(1, min(self.window, held.current, held.limit // 2))
        queries = held.queries[:, :, -window:]
        mass = attention_mass(queries, held.k, held.score_scale)
        importance = pool(mass, self.kernel, self.pooling)
        importance[..., held.count - window :].fill_(math.inf)
        return importance
