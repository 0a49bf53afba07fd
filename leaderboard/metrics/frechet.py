"""Frechet distance of features; with Inception features and 50,000 images it is the FID, with those
of a layer that still knows places the sFID (Nash et al. 2021, arXiv 2103.03841).

Heusel et al. 2017 (arXiv 1706.08500), eq. 6. Small N biases it upwards; how much is estimated as in
Chong & Forsyth 2020 (arXiv 1911.07023): the distance of smaller sets is a line in 1/N, and what is
left at 1/N = 0 is free of bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Value
from leaderboard.metrics.bootstrap import SEED, spread_interval
from leaderboard.metrics.distribution import Distribution
from leaderboard.references.features import statistics
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures

KNOWN_AS = {"inception": "FID", "inception-spatial": "sFID"}
SIZES = 6  # points of the line
ROUNDS = 50
MAX_WORK = 5e10  # N * d^2 * rounds: above that there is no interval


@register
class Frechet(Distribution):
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), covariances with N - 1, float64."""

    name = "frechet"
    title = "Frechet distance"
    paper = "https://arxiv.org/abs/1706.08500"
    better = "lower"
    by_points = False

    def heading(self, n: int) -> str:
        known = KNOWN_AS.get(self.extractor)
        return super().heading(n) if known is None else f"{known} N={n}"

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        root = square_root(real.covariance)

        def distance(index: np.ndarray | slice) -> float:
            return frechet(*statistics(values[index]), real.mean, real.covariance, root)

        value, n = distance(slice(None)), len(values)
        details = {"bias": value - unbiased(distance, n)} if n >= 2 * SIZES else {}
        low = high = None
        if n * values.shape[1] ** 2 * ROUNDS <= MAX_WORK:
            low, high = spread_interval(value, distance, n, ROUNDS)
        return Value(value, low, high, details)


def frechet(
    mean1: np.ndarray,
    covariance1: np.ndarray,
    mean2: np.ndarray,
    covariance2: np.ndarray,
    root2: np.ndarray | None = None,
) -> float:
    """Squared Frechet distance of two Gaussians.

    tr (S1 S2)^(1/2) is the sum of the square roots of the eigenvalues of R S1 R, R = S2^(1/2).

    Args:
        root2: symmetric square root of ``covariance2``, if it is known.
    """
    root2 = square_root(covariance2) if root2 is None else root2
    cross = np.sqrt(np.linalg.eigvalsh(root2 @ covariance1 @ root2).clip(0)).sum()
    trace = np.trace(covariance1) + np.trace(covariance2)
    return float(np.square(mean1 - mean2).sum() + trace - 2 * cross)


def square_root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def unbiased(distance, n: int) -> float:
    """The distance at 1/N = 0 of the line through those of random sets of N/2 .. N images."""
    order = np.random.default_rng(SEED).permutation(n)
    sizes = np.linspace(n / 2, n, SIZES).round().astype(int)
    found = [distance(order[:size]) for size in sizes]
    return float(np.polyfit(1 / sizes, found, 1)[1])
