"""Measured costs."""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.latency import Latency


def test_latency_is_of_the_smallest_batches():
    values = np.array([[10.0, 1], [12.0, 1], [14.0, 1], [2.0, 8], [2.0, 8], [2.0, 8], [2.0, 8]])
    found = Latency().score(values, None)
    assert found.value == 12 and found.details["batch"] == 1
