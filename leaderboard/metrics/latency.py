"""How long an image takes: wall clock of its batch over the images of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Batch, Context, Metric, Value
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


@register
class Latency(Metric):
    """Median milliseconds from the call to the image in a warm process, over the smallest batches
    of the suite; their size and the 5th and 95th percentiles are details."""

    name = "latency"
    title = "Time per image"
    better = "lower"
    unit = "ms"
    measured = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Per image: milliseconds, and the size of its batch."""
        size = len(batch.items)
        return np.tile([batch.cost.seconds * 1000 / size, size], (size, 1))

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        size = values[:, 1].min()
        times = values[values[:, 1] == size, 0]
        p5, median, p95 = np.percentile(times, (5, 50, 95)).tolist()
        return Value(median, details={"batch": int(size), "p5": p5, "p95": p95})
