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
    """Times 1000. The interval, about 95 %, is for other drawn images and other real ones: the
    variance of a two-sample U-statistic to first order, 4 (s_x / N + s_y / M) with the variances
    of what single images contribute (Gretton et al. 2012, Serfling 1980, 5.5.1), and that of the
    choice of subsets. These overlap, so how they differ alone says too little."""

    name = "kid"
    title = "KID x1000"
    paper = "https://arxiv.org/abs/1801.01401"
    better = "lower"
    version = 2

    subsets: int = Field(100, ge=2, le=1000, description="random subsets")
    subset_size: int = Field(1000, ge=2, description="images per subset; at most what there is")

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        random = np.random.default_rng(SEED)
        size = min(self.subset_size, len(values), len(real.features))
        drawn, known = np.asarray(values, np.float64), np.asarray(real.features, np.float64)
        parts = [
            contributions(
                drawn[random.choice(len(drawn), size, replace=False)],
                known[random.choice(len(known), size, replace=False)],
            )
            for _ in range(self.subsets)
        ]
        found = [float(x.mean() + y.mean()) for x, y in parts]
        of_drawn, of_known = np.mean([[x.var(ddof=1), y.var(ddof=1)] for x, y in parts], axis=0)
        variance = 4 * (of_drawn / len(drawn) + of_known / len(known))
        variance += np.var(found, ddof=1) / self.subsets
        mean, error = 1000 * float(np.mean(found)), 1.96 * 1000 * float(variance) ** 0.5
        return Value(mean, mean - error, mean + error)


def contributions(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each image of two sets ``(m, d)`` adds to their squared maximum mean discrepancy under
    the cubic kernel, ``(m,)`` each: the sum of both means is the unbiased estimate."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def own(k: np.ndarray) -> np.ndarray:
        return (k.sum(1) - np.diagonal(k)) / (len(k) - 1)

    across = kernel(x, y)
    return own(kernel(x, x)) - across.mean(1), own(kernel(y, y)) - across.mean(0)
