"""ScaleKV (arXiv 2505.19602): layers that look far back keep much, the others little, per scale.

Per scale some layers are *drafters*, whose attention is spread over the history, the others
*refiners*, which look at the current map. After each scale a layer keeps what a few queries of the
current map, on a grid, find important.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from var_spaces.cache.budget import BudgetPolicy, Held, Limits
from var_spaces.cache.calibration import AUTO, find
from var_spaces.cache.scalekv_budgets import FLOOR, allocate, choose_drafters, selectivity
from var_spaces.cache.widths import odd
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule

WINDOW = 16  # tokens of the observation window: a grid of 4 x 4
POOLING = {"paper": "average", "reference": "max"}  # what a scoring comes with


@register
class ScaleKV(BudgetPolicy):
    """Much for drafter layers, little for refiners; the mean over the layers is the budget.

    ``paper`` scores with softmax attention and average pooling; ``reference`` as the released code
    does, with raw logits of queries before norm and rotation, and max pooling; it keeps the whole
    observation window, of 16 tokens, even where the budget is less. Either scoring goes with
    either pooling: the released code can average its raw logits, too.
    """

    name = "scalekv"
    title = "ScaleKV: drafter and refiner layers"
    paper = "https://arxiv.org/abs/2505.19602"

    scoring: Literal["paper", "reference"] = Field(
        "paper", description="softmax and average pooling, or raw logits and max pooling"
    )
    kernel: int = Field(
        5,
        ge=1,
        le=63,
        description="width of the pooling over neighbours, odd; 3 is in use, too",
        json_schema_extra={"later": True},
    )
    pooling: Literal["auto", "average", "max"] = Field(
        "auto",
        description="how neighbours are pooled; auto: what the scoring comes with",
        json_schema_extra={"later": True},
    )
    drafters: float = Field(
        0.07, ge=0, le=1, description="share of layers and scales that draft, if not published"
    )
    calibration: str = Field(AUTO, description="calibration file; auto: the one that fits")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        return odd(kernel)

    def limits(self, schedule: ScaleSchedule, layers: int, heads: int) -> Limits:
        uniform = self.uniform(schedule)
        chosen = self._drafters(schedule, layers, heads, uniform)
        counts = {scale: len(members) for scale, members in chosen.items()}
        floor = round(FLOOR * uniform)
        # As in the released code, where the window alone is kept if the budget is below it.
        least = WINDOW if self.scoring == "reference" else 0
        budgets = allocate(schedule.lengths, uniform, layers, counts, floor)
        last = schedule.num_scales - 1
        table = []
        for scale in range(schedule.num_scales):
            coming = min(scale + 1, last)  # nothing follows the last scale: its entry again
            budget = budgets.get(coming)
            table.append(
                [
                    schedule.total
                    if budget is None
                    else max(least, budget.drafter if layer in chosen[coming] else budget.refiner)
                    for layer in range(layers)
                ]
            )
        return table

    def _drafters(
        self, schedule: ScaleSchedule, layers: int, heads: int, uniform: int
    ) -> dict[int, set[int]]:
        """Drafter layers of every scale that has a budget."""
        found = find(self.calibration, "drafters|current", schedule, layers, heads, self._models)
        scales = [k for k in range(1, schedule.num_scales) if schedule.offsets[k] > uniform]
        chosen: dict[int, set[int]] = {scale: set() for scale in range(schedule.num_scales)}
        if found.drafters:
            # Scales that the published budget left alone follow its first one.
            first = next(k for k, members in enumerate(found.drafters) if members)
            return {k: set(found.drafters[max(k, first)]) for k in chosen}
        scores = {k: selectivity(found.current[k], found.history_top[k]) for k in scales}
        count = round(self.drafters * layers * len(scales))
        for layer, scale in choose_drafters(scores, count):
            chosen[scale].add(layer)
        return chosen

    def importance(self, held: Held) -> Tensor:
        pooling = POOLING[self.scoring] if self.pooling == "auto" else self.pooling
        return window_importance(held, self.scoring, pooling, self.kernel)


def window_importance(
    held: Held, scoring: str, pooling: str, kernel: int, size: int = WINDOW
) -> Tensor:
    """Importance ``(rows, g, n)`` of all entries in the eyes of the observation window.

    Where the window reaches into the history, its entries there stay, and those of the current map
    score: queries of earlier scales are not kept.

    Args:
        held: a group after its attention.
        scoring: "paper" or "reference".
        pooling: "max" or "average".
        kernel: odd width of the pooling.
        size: tokens of the observation window.

    Raises:
        VarSpacesError: for "reference" where the backbone gives no queries as projected.
    """
    import torch

    from var_spaces.cache.selection import attention_mass, pool

    window = observation_window(held, scoring, size)
    history = held.count - held.current
    inside = window[max(0, len(window) - held.current) :] - history
    if scoring == "reference":
        if held.cache.raw_queries is None:
            raise VarSpacesError(
                "ScaleKV with scoring 'reference' needs queries before norm and rotation, which "
                "this backbone does not give: use scoring 'paper'."
            )
        queries = held.cache.raw_queries(inside)[:, held.heads].float()
        scores = queries @ held.k.float().mT / math.sqrt(queries.shape[-1])
        scores.index_fill_(-1, window.to(torch.int64), -math.inf)
        scores = scores.sum(dim=2)
    else:
        scores = attention_mass(held.queries[:, :, inside], held.k, held.score_scale)
    importance = pool(scores, kernel, pooling)
    importance.index_fill_(-1, window.to(torch.int64), math.inf)
    return importance


def observation_window(held: Held, scoring: str, size: int = WINDOW) -> Tensor:
    """Entries whose queries decide and which stay, ``(m,)`` ascending indices into the cache.

    A square grid in the current map; the last tokens where ``size`` is no square number or the map
    is smaller than the grid. "reference" does as the released code: a map that is not square has no
    grid, and the last tokens are the last of the cache, not of the map alone. With "paper" the
    window gets smaller where it is more than the limit.
    """
    import torch

    from var_spaces.cache.selection import grid

    reference, device = scoring == "reference", held.k.device
    height, width = held.schedule.sizes[held.scale]
    if held.limit < size and not reference:
        size = max(1, math.isqrt(held.limit // 2)) ** 2
    side = math.isqrt(size)
    if side**2 == size and (height == width or not reference):
        found = grid((height, width), side, device)
        if found is not None:
            return found + held.count - held.current
    last = min(size, held.count if reference else held.current)
    return torch.arange(held.count - last, held.count, device=device)
