"""Pictures of the editing suite are what the scene engine draws; what is kept is measured."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.kept_psnr import KeptPsnr
from leaderboard.sources import ACROSS, NAMES, SIDE, draw, pictures, sources
from leaderboard.suites.base import get_suite


def test_the_sheet_is_drawn_by_the_scene_engine():
    sheet, names = draw()
    assert tuple(names) == NAMES
    for number, source in enumerate(sources()):
        row, column = divmod(number, ACROSS)
        cut = sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        assert np.array_equal(source.pixels, cut)
    assert len(pictures()) == len(NAMES)


def test_only_what_is_kept_counts():
    suite = get_suite("embedded-edit")
    items = suite.items()[:4]  # middle, right half, around the middle, another class
    source = suite.pictures()[items[0].facts["source"]]
    images = np.stack([source] * 4)
    images[0, 16:48, 16:48] = 0  # painted
    images[1, :, 32:] = 0  # painted
    images[2, 16:48, 16:48] ^= 1  # kept, off by one everywhere
    images[3, :8] ^= 1  # a third of what is kept, which is 7/16 of the picture
    batch = Batch(tuple(items), images, np.zeros((4, 1), np.int64), Cost(0, (0,), (0,)))
    off_by_one = 10 * np.log10(255.0**2)
    share = 8 * 64 / (64 * 64 - 48 * 48)
    expected = [99, 99, off_by_one, off_by_one - 10 * np.log10(share)]
    assert KeptPsnr().measure(batch, Context(device="cpu")) == pytest.approx(expected)
