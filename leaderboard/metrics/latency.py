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
    """Median milliseconds from the call to the image, in a process that is warm; 5 % and 95 % as
    details.."""

    name = "latency"
    title = "Time per image"
    better = "lower"
    unit = "ms"
    measured = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return np.full(len(batch.items), batch.cost.seconds * 1000 / len(batch.items))

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        p5, median, p95 = np.percentile(values, (5, 50, 95)).tolist()
        return Value(median, details={"p5": p5, "p95": p95})
