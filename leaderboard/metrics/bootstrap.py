"""Bootstrap intervals over images: 95 %, with a fixed seed, so that they can be computed again.

Efron & Tibshirani, An Introduction to the Bootstrap (1993).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 1000
SEED = 95
LEVELS = (2.5, 97.5)
CHUNK = 4_000_000  # resampled numbers in memory at once


def mean_interval(values: np.ndarray, rounds: int = ROUNDS) -> tuple[float, float]:
    """Percentile interval of the mean of ``values`` ``(N,)``."""
    means = resampled_means(np.asarray(values, np.float64), rounds)
    low, high = np.percentile(means, LEVELS)
    return float(low), float(high)


def grouped_interval(groups: Sequence[np.ndarray], rounds: int = ROUNDS) -> tuple[float, float]:
    """Percentile interval of the plain mean over groups ``(N_g,)`` of the means of their values.

    Every group is resampled for itself, each with draws of its own (stratified bootstrap): the same
    draws in all groups would tie together what has nothing to do with one another.
    """
    random = np.random.default_rng(SEED)
    means = np.mean([resampled_means(group, rounds, random) for group in groups], axis=0)
    low, high = np.percentile(means, LEVELS)
    return float(low), float(high)


def clustered_interval(
    values: np.ndarray, clusters: np.ndarray, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Percentile interval of the mean of ``values`` ``(N,)`` that are not independent.

    Whole clusters are resampled: the images of one prompt of which pairs are compared, say, or
    those of one subject. Where there is but one cluster, its images are.

    Args:
        clusters: number of each image's cluster, ``(N,)``.
    """
    names, position = np.unique(clusters, return_inverse=True)
    if len(names) == 1:
        return mean_interval(values, rounds)
    sums, counts = np.bincount(position, values), np.bincount(position)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(rounds, len(names)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), LEVELS)
    return float(low), float(high)


def resampled_means(
    values: np.ndarray, rounds: int = ROUNDS, random: np.random.Generator | None = None
) -> np.ndarray:
    """Means of ``rounds`` resamples of ``values`` ``(N,)``, ``(rounds,)`` float64.

    Args:
        random: what draws; default: the fixed seed.
    """
    random, n = random or np.random.default_rng(SEED), len(values)
    step = max(1, CHUNK // n)
    parts = [
        values[random.integers(n, size=(min(step, rounds - start), n))].mean(axis=1)
        for start in range(0, rounds, step)
    ]
    return np.concatenate(parts)


def spread_interval(
    value: float, statistic: Callable[[np.ndarray], float], n: int, rounds: int
) -> tuple[float, float]:
    """Interval of a statistic of a whole set: ``value`` plus or minus 1.96 bootstrap deviations.

    Resamples hold images twice, which shifts such statistics but tells how much they vary.

    Args:
        statistic: of the images at ``index`` ``(n,)``.
    """
    random = np.random.default_rng(SEED)
    found = [statistic(random.integers(n, size=n)) for _ in range(rounds)]
    margin = 1.96 * float(np.std(found, ddof=1))
    return value - margin, value + margin
