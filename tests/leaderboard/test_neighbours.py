"""Metrics of nearest neighbours: precision and recall, density and coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leaderboard.metrics.density_coverage import Coverage, Density
from leaderboard.metrics.precision_recall import Precision, Recall
from tests.leaderboard.measured import real

RANDOM = np.random.default_rng(0)


def test_precision_and_recall():
    drawn, known = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=(25, 3)) * 2

    def share(points, of, k):
        found = 0
        for point in points:
            for centre in of:
                to_others = sorted(np.linalg.norm(of - centre, axis=1))
                if np.linalg.norm(point - centre) <= to_others[k]:
                    found += 1
                    break
        return found / len(points)

    for k in (1, 3):
        precision = Precision(k=k).score(drawn, real(known)).value
        recall = Recall(k=k).score(drawn, real(known)).value
        assert precision == pytest.approx(share(drawn, known, k))
        assert recall == pytest.approx(share(known, drawn, k))


def test_density_and_coverage():
    drawn, known = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=(25, 3)) * 2

    def balls(k):
        """For every real point, which drawn points are no further than its k-th neighbour."""
        for centre in known:
            to_others = sorted(np.linalg.norm(known - centre, axis=1))
            yield [np.linalg.norm(point - centre) <= to_others[k] for point in drawn]

    for k in (1, 5):
        held = np.array(list(balls(k)))
        density = Density(k=k).score(drawn, real(known))
        coverage = Coverage(k=k).score(drawn, real(known))
        assert density.value == pytest.approx(held.sum() / (k * 30))
        assert coverage.value == pytest.approx(held.any(axis=1).mean())
        assert density.low <= density.value <= density.high
        assert coverage.low <= coverage.value <= coverage.high
    assert Density().k == Coverage().k == 5  # as published


def test_density_and_coverage_of_equal_sets_are_what_theory_says():
    """Expected values of the paper: 1, and one minus the chance that the k nearest of all others
    are real."""
    n, k = 400, 5
    random = np.random.default_rng(7)
    pairs = [(random.normal(size=(n, 4)), random.normal(size=(n, 4))) for _ in range(5)]
    density = np.mean([Density(k=k).score(x, real(y)).value for x, y in pairs])
    coverage = np.mean([Coverage(k=k).score(x, real(y)).value for x, y in pairs])
    missed = math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - missed, abs=0.01)


def test_a_far_real_point_does_not_upset_density():
    drawn, known = RANDOM.normal(size=(50, 3)) + 8, RANDOM.normal(size=(50, 3))
    known[0] = 200  # its ball holds everything
    assert Precision().score(drawn, real(known)).value == 1
    assert Density().score(drawn, real(known)).value <= 1 / 5 + 0.05
