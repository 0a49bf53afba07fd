"""The scenes of the control suite, and its scores."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from leaderboard.controls import SHEET, controlled, draw
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.control_f1 import ControlF1
from leaderboard.metrics.control_iou import ControlIou
from leaderboard.metrics.control_mse import ControlMse
from leaderboard.suites.base import get_suite
from leaderboard.suites.embedded_control import KINDS
from var_spaces import methods

METRICS = (ControlF1(), ControlMse(), ControlIou())


@pytest.fixture(scope="module")
def suite():
    return get_suite("embedded-control")


def measured(metric, suite, images, reconstruct=lambda images: images):
    items = tuple(suite.items())
    batch = Batch(items, np.stack(images), np.zeros((len(items), 1)), Cost(1, (), ()))
    context = Context("cpu", suite.pictures(), reconstruct)
    return metric.score(metric.measure(batch, context), None)


def test_the_sheet_is_drawn_by_the_scene_engine():
    assert np.array_equal(draw(), np.asarray(Image.open(SHEET)))
    assert len({scene.picture for scene in controlled()}) == len(controlled()) == 40
    assert {np.unique(scene.silhouette).size for scene in controlled()} == {2}


def test_extracted_silhouettes_are_near_the_exact_ones():
    kind = methods.parse("control", "mask")
    found = [kind.agreement(scene.silhouette, scene.pixels) for scene in controlled()]
    assert np.mean(found) > 0.92
    assert min(found) > 0.8


def test_the_scenes_themselves_follow_their_maps(suite):
    items, pictures = suite.items(), suite.pictures()
    own = [pictures[item.facts["picture"]] for item in items]
    f1, mse, iou = (measured(metric, suite, own) for metric in METRICS)
    assert (f1.value, mse.value) == (1, 0)
    assert iou.value > 0.92  # the exact silhouette is no extracted one
    other = own[len(KINDS) :] + own[: len(KINDS)]
    f1, mse, iou = (measured(metric, suite, other) for metric in METRICS)
    assert f1.value < 0.6
    assert mse.value > 2000
    assert iou.value < 0.6


def test_every_kind_is_a_detail_with_its_ceiling(suite):
    own = [suite.pictures()[item.facts["picture"]] for item in suite.items()]
    names = [name for metric in METRICS for name in metric.kinds]
    assert set(names) == set(methods.names("control"))  # every kind has exactly one metric
    assert len(names) == len(set(names))
    for metric in METRICS:
        kinds = [kind for kind in KINDS if kind in metric.kinds]
        score = measured(metric, suite, own, lambda images: 255 - images)
        assert set(score.details) == {*kinds, *(f"{kind} ceiling" for kind in kinds)}
        assert {methods.get("control", kind).score for kind in metric.kinds} == {
            metric.name.removeprefix("control-")
        }
        if metric.name == "control-mse":
            assert score.details["grey ceiling"] > 10_000
            assert score.details["grey"] == 0
