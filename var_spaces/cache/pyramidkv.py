"""PyramidKV (arXiv 2406.02069): SnapKV with budgets that fall linearly with depth (§4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.cache.budget import Limits, history
from var_spaces.cache.snapkv import SnapKV
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.schedule import ScaleSchedule


@register
class PyramidKV(SnapKV):
    """Keep more in early layers and less in late ones; the mean is the budget."""

    name = "pyramidkv"
    title = "PyramidKV: less in deeper layers"
    paper = "https://arxiv.org/abs/2406.02069"

    steepness: float = Field(
        20, ge=1, le=1000, description="mean budget over that of the last layer; 1 is SnapKV"
    )

    def limits(self, schedule: ScaleSchedule, layers: int, heads: int) -> Limits:
        mean = self.budget * history(schedule)
        # Where the first layer would hold more than there is, the slope is as steep as it can be.
        last = max(mean / self.steepness, 2 * mean - history(schedule))
        fall = 2 * (mean - last) / max(layers - 1, 1)
        first = 2 * mean - last if layers > 1 else mean
        rounded = _rounded([first - fall * layer for layer in range(layers)])
        return [rounded] * schedule.num_scales


def _rounded(values: list[float]) -> list[int]:
    """Whole numbers of at least 1 whose running sum stays within one of that of ``values``."""
    rounded, wanted, given = [], 0.0, 0
    for value in values:
        wanted += value
        rounded.append(max(1, round(wanted - given)))
        given += rounded[-1]
    return rounded
