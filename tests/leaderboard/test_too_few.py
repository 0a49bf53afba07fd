"""Sets that are too small are refused in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.density_coverage import Coverage, Density
from leaderboard.metrics.distribution import Distribution
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.inception_score import InceptionScore
from leaderboard.metrics.kid import Kid
from leaderboard.metrics.mind import Mind
from leaderboard.metrics.precision_recall import Precision, Recall
from leaderboard.references.base import RealFeatures
from leaderboard.references.features import statistics
from tests.leaderboard.measured import batch, real
from var_spaces import methods
from var_spaces.errors import VarSpacesError

RANDOM = np.random.default_rng(0)
DISTRIBUTIONS = (
    Frechet(), Kid(subset_size=5), Mind(directions=8), Cmmd(), Precision(), Recall(), Density(),
    Coverage(), InceptionScore(),
)  # fmt: skip


def test_every_metric_of_distributions_is_among_those():
    kinds = (methods.get("metric", name) for name in methods.names("metric"))
    assert {kind for kind in kinds if issubclass(kind, Distribution)} == set(
        map(type, DISTRIBUTIONS)
    )


@pytest.mark.parametrize("metric", DISTRIBUTIONS, ids=lambda metric: metric.name)
def test_one_image_is_no_distribution(metric):
    """Two of either side have a number, however poor; one or none is refused in words."""
    many = RANDOM.normal(size=(6, 3))
    assert math.isfinite(metric.score(many[:2], real(many[2:4])).value)
    for few in (0, 1):
        with pytest.raises(VarSpacesError, match=f"at least 2 drawn images, but got {few}"):
            metric.score(many[:few], real(many))
        with pytest.raises(VarSpacesError, match="at least 2 drawn"):
            metric.check(few)
        if metric.needs_reference:
            with pytest.raises(VarSpacesError, match=f"images, but got {few}"):
                metric.score(many, real(many[:few]))
            if metric.by_points:
                known = RealFeatures(many[:few], *statistics(many))
                with pytest.raises(VarSpacesError, match=f"at least 2 real images, but got {few}"):
                    metric.score(many, known)
    metric.check(2)


def test_one_image_has_no_diversity(context):
    with pytest.raises(VarSpacesError, match="image 0 is alone"):
        Diversity().measure(batch(1, side=64), context)
