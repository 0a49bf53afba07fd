"""Policies that give every entry an importance and keep the best ones after each scale.

A subclass says how important each entry is; that is all. Attention of a scale sees the history
that was kept and all tokens of the scale itself; then the layer is cut down to its limit, and the
memory beyond is given back before the next layer runs. So at any time one layer is large and all
others are small.

This file imports no torch, so that parameters and specs can be read without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.cache.base import CachePolicy, CacheSession

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.cache.kv import KVCache
    from var_spaces.schedule import ScaleSchedule

Limits = Sequence[Sequence[int]]  # [scale][layer] -> entries a head keeps after the scale


@dataclass(eq=False)
class Held:
    """A group of heads right after its attention at one scale; tokens of the scale stand last.

    Attributes:
        schedule, scale, layer: where we are.
        heads: indices of the heads of the group within the layer.
        limit: entries a head may keep.
        k, v: what is held, ``(rows, g, n, D)``.
        positions: of the entries in the whole sequence of tokens, ``(rows, g, n)`` int64.
        queries: of this scale, ``(rows, g, l, D)``; ``score_scale`` is the factor on scores.
        carried: what :meth:`BudgetPolicy.observe` returned at the last scale, for entries that
            are still held, with zeros for new ones, ``(rows, g, n)`` float32; None if nothing.
        cache: the cache itself.
    """

    schedule: ScaleSchedule
    scale: int
    layer: int
    heads: slice | Tensor
    limit: int
    k: Tensor
    v: Tensor
    positions: Tensor
    queries: Tensor
    score_scale: float
    carried: Tensor | None
    cache: KVCache

    @property
    def count(self) -> int:
        """Entries held per head."""
        return self.k.shape[2]

    @property
    def current(self) -> int:
        """How many of them are of this scale."""
        return self.queries.shape[2]


def history(schedule: ScaleSchedule) -> int:
    """Tokens of all scales but the last, which nothing looks back on."""
    return schedule.offsets[-2] or schedule.total


class BudgetPolicy(CachePolicy):
    """Keep the most important entries of every head, a fixed number after each scale."""

    budget: float = Field(
        0.1,
        gt=0,
        le=1,
        description="entries kept per head, as a share of the tokens of all scales but the last",
    )

    def importance(self, held: Held) -> Tensor:
        """Importance of each entry, ``(rows, g, n)`` or broadcastable to it; the highest stay.

        Infinity protects an entry; of equal ones the earlier stays.
        """
        raise NotImplementedError

    def observe(self, held: Held) -> Tensor | None:
        """What to carry along with the entries, ``(rows, g, n)``; called at every scale."""
        return None

    def uniform(self, schedule: ScaleSchedule) -> int:
        """Entries per head that the budget amounts to, at least 1."""
        return max(1, round(self.budget * history(schedule)))

    def limits(self, schedule: ScaleSchedule, layers: int, heads: int) -> Limits:
        """Entries a head keeps after every scale, per layer."""
        return [[self.uniform(schedule)] * layers] * schedule.num_scales

    @property
    def preallocates(self) -> bool:
        return self.budget == 1

    def check(self, schedule: ScaleSchedule, layers: int, heads: int) -> None:
        super().check(schedule, layers, heads)
        if self.budget != 1:
            self.limits(schedule, layers, heads)

    def session(self, cache: KVCache, schedule: ScaleSchedule) -> CacheSession:
        if self.budget == 1:  # the full cache, bit for bit
            return CacheSession(cache, schedule)
        limits = self.limits(schedule, len(cache.lengths), cache.heads)
        return BudgetSession(self, cache, schedule, limits)


class BudgetSession(CacheSession):
    """Cuts every layer down to its limit as soon as its attention has run."""

    wants_queries = True

    def __init__(
        self, policy: BudgetPolicy, cache: KVCache, schedule: ScaleSchedule, limits: Limits
    ) -> None:
        super().__init__(cache, schedule)
        self.policy, self.limits = policy, limits
        self.carried: dict[tuple[int, int], Tensor] = {}

    def after_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        for group in range(len(self.cache.lengths[layer])):
            self._cut(self._held(layer, group, scale, q, score_scale), group)

    def _held(self, layer: int, group: int, scale: int, q: Tensor, score_scale: float) -> Held:
        import torch.nn.functional as F

        view = self.cache.views(layer)[group]
        queries = q[:, view.heads]
        carried = self.carried.get((layer, group))
        if carried is not None:
            carried = F.pad(carried, (0, queries.shape[2]))
        return Held(
            schedule=self.schedule,
            scale=scale,
            layer=layer,
            heads=view.heads,
            limit=self.limits[scale][layer],
            k=view.k,
            v=view.v,
            positions=self.cache.positions(layer, group),
            queries=queries,
            score_scale=score_scale,
            carried=carried,
            cache=self.cache,
        )

    def _cut(self, held: Held, group: int) -> None:
        from var_spaces.cache.selection import best

        carry = self.policy.observe(held)
        held.carried = carry
        if held.count > held.limit:
            importance = self.policy.importance(held)
            index = best(importance.expand(held.positions.shape), held.limit)
            self.cache.keep(held.layer, group, index, shrink=True)
            carry = None if carry is None else carry.gather(-1, index)
        if carry is not None:
            self.carried[held.layer, group] = carry

    def gather_rows(self, index: Tensor) -> None:
        self.carried = {key: carried[index] for key, carried in self.carried.items()}
