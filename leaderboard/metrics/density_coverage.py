"""Density and coverage: fidelity and diversity that a single far point does not upset.

Naeem et al. 2020 (arXiv 2002.09797), eq. 4 and 6: as in improved precision and recall there is a
ball around every real point, out to its k-th neighbour; a real point that lies alone has a large
ball, which should count once and not for everything in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Value
from leaderboard.metrics.bootstrap import mean_interval
from leaderboard.metrics.distribution import Distribution
from leaderboard.metrics.neighbours import distances, radii
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


class RealBalls(Distribution):
    """Base class of both; the reference's images count, not its published statistics."""

    paper = "https://arxiv.org/abs/2002.09797"
    better = "higher"

    k: int = Field(5, ge=1, le=100, description="neighbour that sets the radius")


@register
class Density(RealBalls):
    """In how many balls a drawn image lies, over k: about 1 for equal sets, and more where images
    crowd around what is common."""

    name = "density"
    title = "Density"

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        squared = radii(real.features, self.k)
        parts = [(d <= squared).sum(axis=1) for d in distances(values, real.features)]
        held = np.concatenate(parts) / self.k
        return Value(float(held.mean()), *mean_interval(held))


@register
class Coverage(RealBalls):
    """Share of real images that have a drawn one in their ball, 0..1."""

    name = "coverage"
    title = "Coverage"

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        nearest = np.concatenate([d.min(axis=1) for d in distances(real.features, values)])
        covered = (nearest <= radii(real.features, self.k)).astype(np.float64)
        return Value(float(covered.mean()), *mean_interval(covered))
