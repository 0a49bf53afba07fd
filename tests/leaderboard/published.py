"""What published networks look at in tests."""

from __future__ import annotations

import numpy as np

from leaderboard.item import Item
from leaderboard.metrics.base import Batch, Cost


def pictures(count: int = 4, side: int = 64) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)


def batch(facts: list[dict], images: np.ndarray | None = None, full: Batch | None = None) -> Batch:
    images = pictures(len(facts)) if images is None else images
    items = tuple(Item(i, {}, fact) for i, fact in enumerate(facts))
    return Batch(items, images, np.zeros((len(facts), 1), np.int64), Cost(1.0, (1,), (1,)), full)
