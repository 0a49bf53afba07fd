"""Metrics whose score is the mean of one number per image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard.metrics.base import Metric, Value

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.references.base import RealFeatures


class PerImage(Metric):
    """Base class: ``measure`` gives ``(B,)``, the score is the mean with a bootstrap interval."""

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        from leaderboard.metrics.bootstrap import mean_interval

        low, high = mean_interval(values)
        return Value(float(values.mean()), low, high)
