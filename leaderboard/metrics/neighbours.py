"""Balls around the points of a set, each as large as the way to a near neighbour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CHUNK = 1024


def radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance ``(N,)`` of every point ``(N, d)`` to its k-th neighbour, itself not
    counted; to the furthest one where there are no k others."""
    rank = min(k, len(points) - 1)
    parts = [np.partition(d, rank, axis=1)[:, rank] for d in distances(points, points)]
    return np.concatenate(parts)


def belongs(points: np.ndarray, of: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """Whether each point lies in a ball of the set, bool."""
    return np.concatenate([(d <= squared_radii).any(axis=1) for d in distances(points, of)])


def distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances ``(chunk, len(b))`` of a few points after the other, float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    squares = np.square(b).sum(axis=1)
    for start in range(0, len(a), CHUNK):
        part = a[start : start + CHUNK]
        yield (np.square(part).sum(axis=1)[:, None] + squares - 2 * part @ b.T).clip(0)
