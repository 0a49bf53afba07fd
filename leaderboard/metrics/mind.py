"""MIND: how far apart two sets of features are, by what they look like from many directions.

After arXiv 2605.06797: a sliced Wasserstein distance of Inception features, found by sorting, which
ranks with some thousand images as Frechet distances do with 50,000. The paper's number of
directions and its scale are not public where we could read them; ours are fixed in the identity of
the metric, so these numbers stand beside no others: the mean over directions of the squared
Wasserstein-2 distance of the projections on unit vectors, exact also for sets of different size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Value
from leaderboard.metrics.bootstrap import spread_interval
from leaderboard.metrics.distribution import Distribution
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures

CHUNK = 128  # directions at once
ROUNDS = 20
MAX_WORK = 2e8  # N * directions * rounds: above that there is no interval


@register
class Mind(Distribution):
    """0 for equal sets."""

    name = "mind"
    title = "MIND"
    paper = "https://arxiv.org/abs/2605.06797"
    better = "lower"

    directions: int = Field(1024, ge=1, le=65536, description="unit vectors")
    seed: int = Field(2605, ge=0, description="of the vectors")

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        drawn = self._projections(values)
        known = np.sort(self._projections(real.features), axis=1)

        def distance(index: np.ndarray | slice) -> float:
            return float(squared_w2(np.sort(drawn[:, index], axis=1), known).mean())

        value, low, high = distance(slice(None)), None, None
        if len(values) * self.directions * ROUNDS <= MAX_WORK:
            low, high = spread_interval(value, distance, len(values), ROUNDS)
        return Value(value, low, high)

    def _projections(self, features: np.ndarray) -> np.ndarray:
        """``(directions, N)`` float64."""
        features = np.asarray(features, np.float64)
        parts = [part @ features.T for part in self._vectors(features.shape[1])]
        return np.concatenate(parts)

    def _vectors(self, dim: int) -> Iterator[np.ndarray]:
        """Unit vectors ``(CHUNK, dim)``; the same for equal ``dim``."""
        random = np.random.default_rng(self.seed)
        for start in range(0, self.directions, CHUNK):
            part = random.standard_normal((min(CHUNK, self.directions - start), dim))
            yield part / np.linalg.norm(part, axis=1, keepdims=True)


def squared_w2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Wasserstein-2 distance of the rows of two sorted arrays ``(P, n)``, ``(P, m)``.

    Mass moves in order: where the steps of both cumulative distributions are merged, every piece of
    mass goes from one point of ``a`` to one of ``b``.
    """
    n, m = a.shape[1], b.shape[1]
    if n == m:
        return np.square(a - b).mean(axis=1)
    steps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1 / (n m)
    mass = np.diff(steps, prepend=0) / (n * m)
    from_a, to_b = (steps - 1) // m, (steps - 1) // n
    return np.square(a[:, from_a] - b[:, to_b]) @ mass
