"""HACK at work: what contextual and structural heads keep, before and after attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.cache.base import CacheSession
from var_spaces.cache.kv import GroupView, KVCache
from var_spaces.cache.merging import merge, nearest, others
from var_spaces.cache.selection import best, probabilities, spread
from var_spaces.schedule import ScaleSchedule

CURRENT, INITIAL = 2.0, 4.0  # above any attention weight: these tiers come first


@dataclass(frozen=True)
class Kind:
    """A group of heads: structural or contextual, and how many entries a head may keep."""

    structural: bool
    budget: int


class HackSession(CacheSession):
    """HACK: selection before attention, and what was attended to becomes the cache (section 5).

    Args:
        kinds: ``[layer][group]``.
        observed: queries that score, spread over the current map.
        merging: how contextual heads merge what they evict at the last scale, or "none".
        shared: the rows of the first condition choose for those of all others; what is evicted is
            merged by each row's own keys all the same.
    """

    wants_queries = True

    def __init__(
        self,
        cache: KVCache,
        schedule: ScaleSchedule,
        kinds: Sequence[Sequence[Kind]],
        observed: int,
        merging: str,
        shared: bool = False,
    ) -> None:
        super().__init__(cache, schedule)
        self.blocks = cache.blocks if shared else 1
        self.kinds, self.observed, self.merging = kinds, observed, merging
        self.initial = sum(schedule.lengths[:2])

    def before_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        for group, view in enumerate(self.cache.views(layer)):
            kind = self.kinds[layer][group]
            if view.k.shape[2] > kind.budget:
                queries = q[:, view.heads]
                scores = self._attention(queries, view, score_scale)
                if kind.structural:
                    positions = self._choosing(self.cache.positions(layer, group))
                    scores = self._tiers(scores, positions, scale)
                index = self._for_all(best(scores, kind.budget))
                self._cut(layer, group, view, index, kind, scale)

    def _choosing(self, x: Tensor) -> Tensor:
        """The rows that choose: all, or those of the first condition."""
        return x[: len(x) // self.blocks]

    def _for_all(self, index: Tensor) -> Tensor:
        """What those rows chose ``(choosing, g, n)``, for every row."""
        return index.repeat(self.blocks, 1, 1)

    def _attention(self, queries: Tensor, view: GroupView, score_scale: float) -> Tensor:
        """Mean attention ``(choosing, g, n)`` of some queries on every entry."""
        seen = queries[:, :, spread(self.observed, queries.shape[2], queries.device)]
        seen, keys = self._choosing(seen), self._choosing(view.k)
        return probabilities(seen, keys, score_scale).mean(dim=2)

    def _tiers(self, scores: Tensor, positions: Tensor, scale: int) -> Tensor:
        """The first two scales first, then the current one, then the others by score.

        While the second scale is the current one it is thinned as any other, the first stays.
        """
        current = positions >= self.schedule.offsets[scale]
        initial = (positions < self.initial) & ~current
        return scores.double() + CURRENT * current + INITIAL * initial

    def _cut(
        self, layer: int, group: int, view: GroupView, index: Tensor, kind: Kind, scale: int
    ) -> None:
        last = scale == self.schedule.num_scales - 1
        if kind.structural or not last or self.merging == "none":
            self.cache.keep(layer, group, index, shrink=True)
            return
        rest = others(index, view.k.shape[2])
        wide = view.k.shape[-1]
        held, gone = (
            view.k.gather(2, i.unsqueeze(-1).expand(*i.shape, wide)) for i in (index, rest)
        )
        target = nearest(gone, held)
        k, v = (merge(x, index, rest, target, self.merging) for x in (view.k, view.v))
        self.cache.keep(layer, group, index, shrink=True)
        self.cache.replace(layer, group, k, v)


class HackPlusSession(HackSession):
    """HACK++: a larger set for this attention, a smaller one as cache, by the same score.

    Args:
        limits: ``[scale][layer][group]`` entries that stay in the cache.
        attended: entries that one attention sees.
        prior: ``[layer]`` -> ``(heads, scales, scales)``, mean attention of a scale on **one**
            token of a source scale. The paper says "mean attention mass" from a scale to a source
            scale; that this is a mean over the tokens of the source scale, too, is a choice: with
            the mass of the whole scale a token would count more the larger its map is.
    """

    def __init__(
        self,
        cache: KVCache,
        schedule: ScaleSchedule,
        kinds: Sequence[Sequence[Kind]],
        observed: int,
        limits: Sequence[Sequence[Sequence[int]]],
        attended: int,
        prior: Sequence[Tensor],
        shared: bool = False,
    ) -> None:
        super().__init__(cache, schedule, kinds, observed, "none", shared)
        self.limits, self.attended, self.prior = limits, attended, prior
        lengths = torch.tensor(schedule.lengths)
        self.source = torch.arange(len(lengths)).repeat_interleave(lengths).to(cache.device)
        self._scores: list[Tensor] = []

    def before_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        self._scores = []
        for group, view in enumerate(self.cache.views(layer)):
            positions = self._choosing(self.cache.positions(layer, group))
            if self.kinds[layer][group].structural:
                scores = self._prior_scores(layer, scale, view, positions)
            else:
                scores = self._attention(q[:, view.heads], view, score_scale)
                scores = self._pooled(scores, positions)
            most = max(self.attended, self.limits[scale][layer][group])
            if view.k.shape[2] > most:
                index = best(scores, most)
                self.cache.keep(layer, group, self._for_all(index), shrink=True)
                scores = scores.gather(-1, index)
            self._scores.append(scores)

    def after_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        for group, scores in enumerate(self._scores):
            limit = self.limits[scale][layer][group]
            if scores.shape[-1] > limit:
                index = self._for_all(best(scores, limit))
                self.cache.keep(layer, group, index, shrink=True)
        self._scores = []

    def _prior_scores(self, layer: int, scale: int, view: GroupView, positions: Tensor) -> Tensor:
        """Expected attention on an entry's scale times the length of its value."""
        prior = self.prior[layer][view.heads, scale]
        sources = self.source[positions]
        expected = prior.expand(len(positions), -1, -1).gather(-1, sources)
        return expected * self._choosing(view.v).float().norm(dim=-1)

    def _pooled(self, scores: Tensor, positions: Tensor) -> Tensor:
        """Every score raised to the largest of its 3 x 3 neighbours that are still held."""
        rows, heads, _ = scores.shape
        dense = scores.new_zeros(rows, heads, self.schedule.total).scatter(-1, positions, scores)
        maps = [
            F.max_pool2d(part.unflatten(-1, size), 3, stride=1, padding=1).flatten(-2)
            for part, size in zip(
                dense.split(self.schedule.lengths, dim=-1), self.schedule.sizes, strict=True
            )
        ]
        return torch.cat(maps, dim=-1).gather(-1, positions)
