"""What was kept can be seen: as a tensor through the observer of a run, and as a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import tiny
from tests.cache.policies import SCHEDULE, Drive
from var_spaces.cache.full import Full
from var_spaces.cache.retention import kept, retention, retention_picture, retention_pictures
from var_spaces.cache.window import SlidingWindow
from var_spaces.decoding.loop import run as loop
from var_spaces.schedule import ScaleSchedule


def test_a_run_reports_what_each_layer_row_and_head_keeps():
    seen = {}

    def observe(what, scale, tensor):
        if what == "kept":
            seen[scale] = tensor

    setup = tiny.setup((0, 1), cache=SlidingWindow(budget=0.5), observe=observe)
    tiny.drain(loop.run(setup))
    layers, heads, _ = setup.backbone.kv_layout()
    for scale, tensor in seen.items():
        assert tensor.shape == (layers, 4, heads, setup.schedule.offsets[scale + 1])
    limit = round(0.5 * setup.schedule.offsets[-2])
    last = seen[setup.schedule.num_scales - 1]
    assert last[..., -limit:].all()
    assert not last[..., :-limit].any()
    assert seen[0].all()


def test_full_and_released_layers():
    done = Drive(Full()).run(scales=2)
    done.cache.release(1)
    held = kept(done.cache, 5)
    assert held.sum((1, 2, 3)).tolist() == [40, 0, 40]


def test_maps_are_shares_per_token():
    held = torch.zeros(2, 5, dtype=torch.bool)
    held[0, 0] = held[:, 4] = True
    coarse, fine = retention(held, ScaleSchedule(((1, 1), (2, 2), (3, 3))))
    assert coarse.tolist() == [[0.5]]
    assert fine.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("image", [None, np.full((16, 16, 3), 200, np.uint8)])
def test_picture(image):
    held = Drive(SlidingWindow(budget=0.3)).run(scales=3)
    picture = retention_picture(kept(held.cache, 21), SCHEDULE, image, height=32)
    assert picture.shape == (32, 3 * 32 + 2 * 4, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[0, 0]) == (26, 24, 46)  # the first token is gone
    assert tuple(picture[-1, -1]) == ((255, 214, 92) if image is None else (200, 200, 200))


def test_pinned_entries_are_shown_apart():
    """A band per layer in a bar of its own; the maps are what they were."""
    held = kept(Drive(SlidingWindow(budget=0.3)).run(scales=3).cache, 21)
    plain = retention_picture(held, SCHEDULE, height=32)
    both = retention_picture(held, SCHEDULE, height=32, pinned=(0, 0, 0, 5))
    assert np.array_equal(both[:, 12 + 4 :], plain)
    assert {tuple(pixel) for pixel in both[:24, :12].reshape(-1, 3)} == {(26, 24, 46)}
    assert {tuple(pixel) for pixel in both[24:, :12].reshape(-1, 3)} == {(92, 178, 255)}
    assert np.array_equal(retention_picture(held, SCHEDULE, height=32, pinned=(0, 0)), plain)
    seen = {}
    setup = tiny.setup((0,), observe=lambda what, scale, tensor: seen.setdefault(what, tensor))
    tiny.drain(loop.run(setup))
    assert seen["pinned"].tolist() == [0] * setup.backbone.kv_layout()[0]


def test_pictures_of_wide_maps_show_all_of_their_columns():
    schedule = ScaleSchedule(((1, 2), (2, 4)))
    held = torch.tensor([[False] * 9 + [True]])  # the last token, in the last column
    fine = retention_pictures(held, schedule, height=8)[1]
    assert fine.shape == (8, 16, 3)
    assert (fine[4:, 12:] == (255, 214, 92)).all()
    assert (fine[:, :12] == (26, 24, 46)).all() and (fine[:4] == (26, 24, 46)).all()
