"""Measures the attention of a model while it draws images: the numbers of a calibration.

Probabilities are never kept: they are summed in chunks of queries, in float64.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from var_spaces.cache.base import CachePolicy, CacheSession
from var_spaces.cache.calibration import Calibration
from var_spaces.cache.kv import KVCache
from var_spaces.cache.selection import CHUNK_ELEMENTS, probabilities
from var_spaces.schedule import ScaleSchedule

TOP = 8  # K' of ScaleKV, which the paper does not state


class AttentionStatistics:
    """Sums over samples and queries of one layer and scale, per head.

    Args:
        schedule: of the run.
        scale: whose queries are seen.
        top: largest weights on earlier tokens that count.
    """

    def __init__(self, schedule: ScaleSchedule, scale: int, top: int = TOP) -> None:
        self.lengths = schedule.lengths[: scale + 1]
        self.top = top
        self.samples = self.queries = 0
        self.columns: Tensor | float = 0.0  # (samples, heads, n): of the running samples
        self.squares: Tensor | float = 0.0
        self.mass: Tensor | float = 0.0  # (heads, n), sums over finished samples
        self.variance: Tensor | float = 0.0  # (heads,)
        self.largest: Tensor | float = 0.0  # (heads,)

    def add(self, p: Tensor) -> None:
        """Probabilities ``(samples, heads, l, n)`` of some queries of the running samples."""
        p = p.double()
        self.columns = self.columns + p.sum(2)
        self.squares = self.squares + p.square().sum(2)
        self.queries += p.shape[2]
        history = p[..., : sum(self.lengths[:-1])]
        count = min(self.top, history.shape[-1])
        self.largest = self.largest + history.topk(count).values.sum((-1, -2)).sum(0)

    def finish(self) -> None:
        """All queries of the running samples were added."""
        mean = self.columns / self.queries
        variance = self.squares / self.queries - mean.square()
        self.variance = self.variance + variance.clamp_min(0).sum(-1).sum(0)
        self.mass = self.mass + mean.sum(0)
        self.samples += len(mean)
        self.largest_per_query = self.queries
        self.columns = self.squares = 0.0
        self.queries = 0

    def column_variance(self) -> Tensor:
        """``(heads,)``: variance over queries, summed over keys (HACK, arXiv 2504.09261)."""
        return self.variance / self.samples

    def source_mass(self) -> Tensor:
        """``(heads, scale + 1)``: mean attention on all tokens of each source scale."""
        parts = (self.mass / self.samples).split(self.lengths, dim=-1)
        return torch.stack([part.sum(-1) for part in parts], dim=-1)

    def history_top(self) -> float:
        """Mean over heads of the sum of the largest weights on earlier tokens."""
        return float(self.largest.mean() / self.samples / self.largest_per_query)

    def current(self) -> float:
        """Mean over heads of the attention on the scale's own tokens."""
        return float(self.source_mass()[:, -1].mean())


class Measuring(CachePolicy):
    """The full cache, watched; rows of the full condition only. Collects over all runs."""

    name, title = "measuring", "Full cache, measured"
    named_rows: int = 1  # rows of every image; the first block is that of the full condition

    def model_post_init(self, context: Any) -> None:
        object.__setattr__(self, "_found", defaultdict(dict))

    def session(self, cache: KVCache, schedule: ScaleSchedule) -> CacheSession:
        return MeasuringSession(self, cache, schedule)

    def calibration(self, model: str, schedule: ScaleSchedule, source: str) -> Calibration:
        """What was found so far."""
        scales, found = range(schedule.num_scales), self._found
        last = [found[layer][scales[-1]] for layer in sorted(found)]
        variance = [statistics.column_variance().tolist() for statistics in last]
        mass = [
            list(zip(*(found[layer][k].source_mass().tolist() for k in scales), strict=True))
            for layer in sorted(found)
        ]
        return Calibration(
            model=model,
            source=source,
            layers=len(found),
            heads=len(variance[0]),
            sizes=schedule.sizes,
            samples=last[0].samples,
            current=[[found[layer][k].current() for layer in sorted(found)] for k in scales],
            history_top=[
                [found[layer][k].history_top() for layer in sorted(found)] for k in scales
            ],
            column_variance=variance,
            mass=mass,
        )


class MeasuringSession(CacheSession):
    wants_queries = True

    def __init__(self, policy: Measuring, cache: KVCache, schedule: ScaleSchedule) -> None:
        super().__init__(cache, schedule)
        self.policy = policy

    def after_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None:
        rows = q.shape[0] // self.policy.named_rows
        q, k = q[:rows], self.cache.views(layer)[0].k[:rows]
        per_scale = self.policy._found[layer]
        if scale not in per_scale:
            per_scale[scale] = AttentionStatistics(self.schedule, scale)
        per_query = k.shape[0] * k.shape[1] * k.shape[2]
        for part in q.split(max(1, CHUNK_ELEMENTS // per_query), dim=2):
            per_scale[scale].add(probabilities(part, k, score_scale))
        per_scale[scale].finish()
