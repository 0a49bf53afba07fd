"""The suite of editing: its sheet is what the records draw, its metrics tell right from wrong."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboard import edit_pairs
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.edit_done import OPERATIONS, EditDone
from leaderboard.metrics.edit_kept import EditKeptPsnr, EditKeptSsim
from leaderboard.metrics.edit_nearer import EditNearer
from leaderboard.metrics.grouped import NO_GROUP
from leaderboard.suites.base import get_suite
from var_spaces.training.data.edits import WEIGHTS


def batch(images, items):
    return Batch(tuple(items), images, np.zeros((len(images), 1)), Cost(0, (), ()))


@pytest.fixture(scope="module")
def some():
    """Every ninth item: all operations occur."""
    items = get_suite("embedded-instruct").items()[::9]
    return items, [item.facts["pair"] for item in items]


def test_the_sheet_shows_the_records():
    from var_spaces.training.data.atlas import Atlas
    from var_spaces.training.data.frozen_edits import pictures_of

    rendered, _, _ = pictures_of(Atlas.load(), edit_pairs.pairs())
    difference = np.abs(rendered.astype(int) - edit_pairs.sources())
    assert difference.max() <= 1  # another processor may round another way
    assert tuple(WEIGHTS) == OPERATIONS


def score(metric, images, items):
    values = metric.measure(batch(images, items), Context(device="cpu"))
    assert values.shape == (len(items), 2)
    return metric.score(values, None)


def test_truth_and_copies(some):
    """True targets are done as far as the parser sees it, copies of the source are not; both keep
    what was to be kept."""
    items, numbers = some
    targets, copies = edit_pairs.truth()[0][numbers], edit_pairs.sources()[numbers]
    assert score(EditNearer(), targets, items).value == 1
    assert score(EditNearer(), copies, items).value == 0
    right, wrong = (score(EditDone(), images, items) for images in (targets, copies))
    assert right.value > 0.5 > 0.1 > wrong.value
    assert set(right.details) == set(OPERATIONS)
    for images in (targets, copies):
        assert score(EditKeptPsnr(), images, items).value == 50
        assert score(EditKeptSsim(), images, items).value == pytest.approx(1)
    noisy = np.clip(copies.astype(int) + 10, 0, 255).astype(np.uint8)
    assert score(EditKeptPsnr(), noisy, items).value < 40


@pytest.mark.parametrize("metric", [EditKeptPsnr(), EditKeptSsim()])
def test_a_pair_that_may_change_everywhere_counts_in_no_group(metric):
    """Results hold finite numbers only, and a runner refuses others."""
    items = get_suite("embedded-instruct").items()
    whole = [item for item in items if edit_pairs.truth()[1][item.facts["pair"]].all()]
    assert whole
    some = [*whole, items[0]]
    images = edit_pairs.sources()[[item.facts["pair"] for item in some]]
    values = metric.measure(batch(images, some), Context(device="cpu"))
    assert np.isfinite(values).all()
    assert list(metric.score(values, None).details) == [items[0].facts["group"]]


def test_a_score_of_groups_is_their_plain_mean():
    """However many images a group has; what is in no group does not count."""
    values = np.array([[1.0, 0], [0, 1], [0, 1], [0, 1], [1, NO_GROUP]])
    found = EditNearer().score(values, None)
    first, second = OPERATIONS[:2]
    assert found.value == 0.5 and found.details == {first: 1, second: 0}
