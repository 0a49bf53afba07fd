"""What a run asks of the machine: images per second, and memory of an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Batch, Context, Metric, Value
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


@register
class Throughput(Metric):
    """Images per second in the largest batches: their number over the sum of their times."""

    name = "throughput"
    title = "Throughput"
    better = "higher"
    unit = "image/s"
    measured = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Per image: the seconds of its share, and the size of its batch."""
        size = len(batch.items)
        return np.tile([batch.cost.seconds / size, size], (size, 1))

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        size = values[:, 1].max()
        seconds = values[values[:, 1] == size, 0]
        return Value(float(len(seconds) / seconds.sum()), details={"batch": int(size)})


@register
class PeakMemory(Metric):
    """Largest memory that tensors took, weights included, in MiB. There is none on a CPU, where
    only the memory of a whole process is known."""

    name = "peak-memory"
    title = "Peak memory"
    better = "lower"
    unit = "MiB"
    measured = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return np.full(len(batch.items), batch.cost.peak_bytes / 2**20)

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value | None:
        return Value(float(values.max())) if values.max() > 0 else None
