"""Kernel distance: unbiased, so it is the one to trust when N is small.

Binkowski et al. 2018 (arXiv 1801.01401): MMD^2 with the kernel (x.y / d + 1)^3, mean over random
subsets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Value
from leaderboard.metrics.bootstrap import SEED
from leaderboard.metrics.distribution import Distribution
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


@register
class Kid(Distribution):
    """Times 1000; the interval is 1.96 standard errors over subsets. There is none where every
    subset holds all drawn images: nothing varies then, which says nothing about other images."""

    name = "kid"
    title = "KID x1000"
    paper = "https://arxiv.org/abs/1801.01401"
    better = "lower"

    subsets: int = Field(100, ge=2, le=1000, description="random subsets")
    subset_size: int = Field(1000, ge=2, description="images per subset; at most what there is")

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        random = np.random.default_rng(SEED)
        size = min(self.subset_size, len(values), len(real.features))
        drawn, known = np.asarray(values, np.float64), np.asarray(real.features, np.float64)
        found = [
            mmd2_unbiased(
                drawn[random.choice(len(drawn), size, replace=False)],
                known[random.choice(len(known), size, replace=False)],
            )
            for _ in range(self.subsets)
        ]
        mean = 1000 * float(np.mean(found))
        if size == len(drawn):
            return Value(mean)
        error = 1.96 * 1000 * float(np.std(found, ddof=1)) / self.subsets**0.5
        return Value(mean, mean - error, mean + error)


def mmd2_unbiased(x: np.ndarray, y: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two sets ``(m, d)`` under the cubic kernel."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    m = len(x)
    own = sum((k.sum() - np.trace(k)) / (m * (m - 1)) for k in (kernel(x, x), kernel(y, y)))
    return float(own - 2 * kernel(x, y).mean())
