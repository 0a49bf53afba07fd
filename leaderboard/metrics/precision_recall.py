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
from leaderboard.metrics.neighbours import belongs, radii
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


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

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        return self.share(values, real.features)


@register
class Recall(Manifold):
    """Share of real images among the drawn ones: diversity."""

    name = "recall"
    title = "Recall"

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        return self.share(real.features, values)
