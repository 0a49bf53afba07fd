"""Improved precision and recall of the manifold of features.

Kynkaanniemi et al. 2019 (arXiv 1904.06991), eq. 1: a point belongs to a set if it lies in the ball
around some point of it whose radius is the distance to that point's k-th nearest neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Value
from leaderboard.metrics.bootstrap import mean_interval
from leaderboard.metrics.distribution import Distribution
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures

CHUNK = 1024


class Manifold(Distribution):
    """Base class of both; the reference's images count, not its published statistics."""

    paper = "https://arxiv.org/abs/1904.06991"
    better = "higher"

    k: int = Field(3, ge=1, le=100, description="neighbour that sets the radius")

    def share(self, points: np.ndarray, of: np.ndarray) -> Value:
        """How many ``points`` belong to the set ``of``."""
        inside = belongs(points, of, radii(of, self.k)).astype(np.float64)
        return Value(float(inside.mean()), *mean_interval(inside))


@register
class Precision(Manifold):
    """Share of drawn images among the real ones: fidelity."""

    name = "precision"
    title = "Precision"

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        return self.share(values, real.features)


@register
class Recall(Manifold):
    """Share of real images among the drawn ones: diversity."""

    name = "recall"
    title = "Recall"

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        return self.share(real.features, values)


def radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of every point to its k-th neighbour, itself not counted."""
    rank = min(k, len(points) - 1)
    parts = [np.partition(d, rank, axis=1)[:, rank] for d in _distances(points, points)]
    return np.concatenate(parts)


def belongs(points: np.ndarray, of: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """Whether each point lies in a ball of the set, bool."""
    return np.concatenate([(d <= squared_radii).any(axis=1) for d in _distances(points, of)])


def _distances(a: np.ndarray, b: np.ndarray):
    """Squared distances ``(chunk, len(b))`` of a few points after the other."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    squares = np.square(b).sum(axis=1)
    for start in range(0, len(a), CHUNK):
        part = a[start : start + CHUNK]
        yield (np.square(part).sum(axis=1)[:, None] + squares - 2 * part @ b.T).clip(0)
