"""HeatKV (arXiv 2605.14877): whole scales are dropped per head and layer, on a plan made before.

The plan depends only on the calibration and the budget (see heatkv_schedule.py), so nothing is
scored at run time. The paper's refinement within a scale, dropping earlier while the layers of one
scale are written, is left out: a layer is cut right after its own attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.cache.base import CachePolicy, CacheSession
from var_spaces.cache.calibration import AUTO, Calibration, find
from var_spaces.cache.heatkv_schedule import Atoms, plan_atoms, sinks_held
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.cache.kv import KVCache
    from var_spaces.schedule import ScaleSchedule


@register
class HeatKV(CachePolicy):
    """Every head keeps the source scales that later scales were seen to look at."""

    name = "heatkv"
    title = "HeatKV: scales per head and layer, planned"
    paper = "https://arxiv.org/abs/2605.14877"

    budget: float = Field(
        0.1, gt=0, le=1, description="entries kept, as a share of the tokens of all but one scale"
    )
    sinks: int = Field(
        3,
        ge=0,
        le=64,
        description="first scales never dropped; fewer, with a note, if the budget is too small",
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
        return [list(groups) for groups in self._groups(self._plan(schedule, layers, heads))]

    def check(self, schedule: ScaleSchedule, layers: int, heads: int) -> None:
        if self.budget != 1:  # planning takes a moment; a calibration is all that can be missing
            self._calibration(schedule, layers, heads)

    def notes(self, schedule: ScaleSchedule) -> tuple[str, ...]:
        held = sinks_held(schedule.lengths, self.budget, self.sinks)
        if self.budget == 1 or held == min(self.sinks, schedule.num_scales - 1):
            return ()
        return (
            f"HeatKV keeps {held} of the first {self.sinks} scales whole: a budget of "
            f"{self.budget:g} does not hold more.",
        )

    def session(self, cache: KVCache, schedule: ScaleSchedule) -> CacheSession:
        if self.budget == 1:
            return CacheSession(cache, schedule)
        plan = self._plan(schedule, len(cache.lengths), cache.heads)
        groups = self._groups(plan)
        first = [[members[0] for members in layer] for layer in groups]
        held = [
            [[plan[scale][layer][h] for h in row] for layer, row in enumerate(first)]
            for scale in range(schedule.num_scales)
        ]
        return HeatKVSession(cache, schedule, held)

    def _plan(self, schedule: ScaleSchedule, layers: int, heads: int) -> Atoms:
        found = self._calibration(schedule, layers, heads)
        return plan_atoms(found.mass, schedule.lengths, self.budget, self.sinks)

    def _calibration(self, schedule: ScaleSchedule, layers: int, heads: int) -> Calibration:
        return find(self.calibration, "mass", schedule, layers, heads, self._models)

    @staticmethod
    def _groups(plan: Atoms) -> list[list[list[int]]]:
        """Per layer, heads that hold the same at all times."""
        layers = []
        for layer in range(len(plan[0])):
            same: dict[tuple[frozenset[int], ...], list[int]] = {}
            for h in range(len(plan[0][layer])):
                life = tuple(frozenset(scale[layer][h]) for scale in plan)
                same.setdefault(life, []).append(h)
            layers.append(list(same.values()))
        return layers


class HeatKVSession(CacheSession):
    """Drops what the plan says.

    Args:
        held: ``[scale][layer][group]`` source scales held after the scale.
    """

    wants_queries = True

    def __init__(
        self,
        cache: KVCache,
        schedule: ScaleSchedule,
        held: Sequence[Sequence[Sequence[set[int]]]],
    ) -> None:
        super().__init__(cache, schedule)
        self.held = held

    def after_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        import torch

        for group, sources in enumerate(self.held[scale][layer]):
            before = self.held[scale - 1][layer][group] if scale else set()
            keep, start = [], 0
            for source in sorted(before | {scale}):
                end = start + self.schedule.lengths[source]
                keep.extend(range(start, end) if source in sources else ())
                start = end
            if len(keep) < start:
                index = torch.tensor(keep, dtype=torch.int64, device=q.device)
                self.cache.keep(layer, group, index, shrink=True)
