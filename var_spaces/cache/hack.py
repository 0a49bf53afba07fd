"""HACK (arXiv 2504.09261) and HACK++ (arXiv 2606.08302): two kinds of heads, two budgets.

Contextual heads look at the same few keys from everywhere and need little; structural heads look
at their own place in every scale and need much. Which head is which is measured once per model.
The public code was never released; what the papers leave open is named where it is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from var_spaces.cache.base import CachePolicy, CacheSession
from var_spaces.cache.calibration import AUTO, Calibration, find
from var_spaces.cache.hack_budgets import contextual_heads, fill, reliance, split_budget
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.cache.hack_session import Kind
    from var_spaces.cache.kv import KVCache
    from var_spaces.schedule import ScaleSchedule


@register
class Hack(CachePolicy):
    """Little for contextual heads, much for structural ones.

    Mode ``hack``: what a scale attends to is cut to the budget and becomes the cache. Mode
    ``hack++``: a scale attends to more than is kept, and budgets follow how much later scales look
    back.
    """

    name = "hack"
    title = "HACK: contextual and structural heads"
    paper = "https://arxiv.org/abs/2504.09261"

    budget: float = Field(
        0.3, gt=0, le=1, description="entries per head on average, as a share of all tokens (1 - ρ)"
    )
    mode: Literal["hack", "hack++"] = Field("hack", description="the first method or its successor")
    heads: Literal["measured", "swapped"] = Field(
        "measured", description="which head is which; swapped shows what the kinds are worth"
    )
    alpha: float = Field(0.5, ge=0, le=1, description="share of heads that are contextual")
    ratio: float = Field(
        5, ge=1, le=100, description="budget of a structural head over a contextual one (hack)"
    )
    observed: int = Field(32, ge=1, le=4096, description="queries that score the entries")
    merge: Literal["none", "average", "pivotal"] = Field(
        "pivotal", description="what contextual heads do with evicted entries at the end (hack)"
    )
    attention: float = Field(
        0.3, gt=0, le=1, description="entries one attention sees, share of all tokens (hack++)"
    )
    power: float = Field(
        0.5,
        ge=0,
        le=4,
        description="how strongly budgets follow the reliance of later scales (hack++)",
    )
    shared: bool = Field(
        False,
        description="what the full condition chooses is kept for all conditions, which is cheaper",
        json_schema_extra={"later": True},
    )
    calibration: str = Field(AUTO, description="calibration file; auto: the one that fits")

    @property
    def preallocates(self) -> bool:
        return self.budget == 1

    def head_groups(
        self, schedule: ScaleSchedule, layers: int, heads: int
    ) -> Sequence[Sequence[Sequence[int]]] | None:
        if self.budget == 1:  # the full cache, bit for bit
            return None
        found = self._calibration(schedule, layers, heads)
        return [[members for _, members in layer] for layer in self._groups(found)]

    def session(self, cache: KVCache, schedule: ScaleSchedule) -> CacheSession:
        if self.budget == 1:
            return CacheSession(cache, schedule)
        from var_spaces.cache.hack_session import HackSession, Kind

        found = self._calibration(schedule, len(cache.lengths), cache.heads)
        groups, total = self._groups(found), schedule.total
        small, large = split_budget(self.budget * total, total, self.alpha, self.ratio)
        kinds = [
            [Kind(structural, large if structural else small) for structural, _ in layer]
            for layer in groups
        ]
        if self.mode == "hack":
            return HackSession(cache, schedule, kinds, self.observed, self.merge, self.shared)
        return self._plus(cache, schedule, kinds, found)

    def _plus(
        self,
        cache: KVCache,
        schedule: ScaleSchedule,
        kinds: Sequence[Sequence[Kind]],
        found: Calibration,
    ) -> CacheSession:
        import torch

        from var_spaces.cache.hack_session import HackPlusSession

        groups = [members for layer in self._groups(found) for _, members in layer]
        owners = [layer for layer, row in enumerate(kinds) for _ in row]
        limits = []
        for scale in range(schedule.num_scales):
            # Nothing looks back on the last scale; it keeps what the one before it does.
            before = min(scale, max(schedule.num_scales - 2, 0))
            per_head = [reliance(layer, schedule.offsets, before) for layer in found.mass]
            weights = [
                (sum(per_head[layer][h] for h in members) / len(members)) ** self.power
                for layer, members in zip(owners, groups, strict=True)
            ]
            sizes = [len(members) for members in groups]
            cap = schedule.offsets[scale + 1]
            amounts = iter(fill(weights, sizes, self.budget * schedule.total, cap))
            limits.append([[next(amounts) for _ in row] for row in kinds])
        prior = []  # per token of a source scale, see HackPlusSession
        for layer in found.mass:
            table = torch.zeros(len(layer), schedule.num_scales, schedule.num_scales)
            for h, head in enumerate(layer):
                for scale, row in enumerate(head):
                    table[h, scale, : len(row)] = torch.tensor(row)
            prior.append((table / torch.tensor(schedule.lengths)).to(cache.device))
        attended = round(self.attention * schedule.total)
        return HackPlusSession(
            cache, schedule, kinds, self.observed, limits, attended, prior, self.shared
        )

    def _calibration(self, schedule: ScaleSchedule, layers: int, heads: int) -> Calibration:
        return find(self.calibration, "column_variance", schedule, layers, heads, self._models)

    def _groups(self, found: Calibration) -> list[list[tuple[bool, list[int]]]]:
        """Per layer: whether a group is structural, and its heads; contextual ones first."""
        layers, swapped = [], self.heads == "swapped"
        for row in contextual_heads(found.column_variance, self.alpha):
            both = [
                (structural, [h for h, c in enumerate(row) if c != (structural ^ swapped)])
                for structural in (False, True)
            ]
            layers.append([(structural, members) for structural, members in both if members])
        return layers
