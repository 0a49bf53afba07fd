"""What metrics measure in tests: random pictures, tokens and features."""

from __future__ import annotations

import numpy as np

from leaderboard.item import Item
from leaderboard.metrics.base import Batch, Cost
from leaderboard.references.base import RealFeatures
from leaderboard.references.features import statistics

RANDOM = np.random.default_rng(0)


def real(features: np.ndarray) -> RealFeatures:
    return RealFeatures(features, *statistics(features))


def images(count: int = 3, side: int = 16) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def batch(count: int = 3, side: int = 16, full: Batch | None = None, **changes) -> Batch:
    items = tuple(Item(i, {}, {"caption": f"a red apple {i}"}) for i in range(count))
    fields = {
        "items": items,
        "images": images(count, side),
        "tokens": RANDOM.integers(0, 4, (count, 21)),
        "cost": Cost(0.3, (1024, 4096, 2048), (1024, 8192, 9000), 3 * 2**20),
        "full": full,
    }
    return Batch(**{**fields, **changes})
