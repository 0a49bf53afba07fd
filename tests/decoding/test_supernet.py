"""Depth per scale: exact at full depth, caches of skipped blocks freed, any policy."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests import flex, infinity, tiny
from tests.cache.policies import small
from var_spaces import RunSpec, methods, stream
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.lane import Lane
from var_spaces.decoding.strategies.supernet import Supernet
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan


def drawn(decoding=None, images=(0, 1), **changes):
    if decoding is not None:
        changes["decoding"] = decoding
    return tiny.drain(loop.run(tiny.setup(images, **changes)))


def test_full_depth_is_plain_decoding_bit_for_bit():
    blocks = tiny.shared()[1].config.depth
    seen = [{}, {}]
    for into, decoding in zip(seen, (None, Supernet(depth=blocks, bridge=2)), strict=True):
        drawn(decoding, observe=lambda what, k, x, into=into: into.__setitem__((what, k), x))
    assert seen[0].keys() == seen[1].keys()
    assert all(torch.equal(seen[0][key], seen[1][key]) for key in seen[0])


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (infinity.write_models, {"model": "tiny-t2i", "prompt": "a red key"}),
        (flex.save_tiny, {"model": "tiny-flex", "class_": "key"}),
    ],
)
def test_full_depth_is_plain_decoding_for_other_backbones(write, what, tmp_path, monkeypatch):
    """Theirs have two blocks, so that the smallest sub-network is the whole model."""
    write(tmp_path)
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path))
    run = {"seed": 3, "previews": False, **what}
    route = {"name": "supernet", "depth": 2, "bridge": 1}
    plain, routed = (list(stream(**run, decoding=d)) for d in ({"name": "plain"}, route))
    assert (plain[-1].images[0] == routed[-1].images[0]).all()
    for one, other in zip(plain[1:-2], routed[1:-2], strict=True):
        assert torch.equal(one.ids, other.ids)
        assert one.kv_bytes == other.kv_bytes


def test_skipped_blocks_hold_nothing_after_the_bridge():
    blocks, bridge = tiny.shared()[1].config.depth, 3
    events, ids = drawn(Supernet(depth=2, bridge=bridge))
    plain, want = drawn()
    assert all(map(torch.equal, ids[:bridge], want[:bridge]))
    assert not torch.equal(ids[-1], want[-1])
    for event, full in zip(events[:-2], plain[:-2], strict=True):
        share = blocks if event.scale < bridge else 2
        assert event.kv_bytes * blocks == full.kv_bytes * share
        assert event.kv_full_bytes == full.kv_bytes


def test_peak_is_that_of_the_formula():
    """All blocks at the bridge, or the sub-network at the end: never both."""
    setup, bridge, peaks = tiny.setup((0, 1)), 3, []
    blocks, schedule = setup.backbone.config.depth, setup.schedule
    for depth, decoding in ((2, Supernet(depth=2, bridge=bridge)), (blocks, setup.decoding)):
        lane = Lane(replace(setup, decoding=decoding), (0, 1))
        for scale in range(schedule.num_scales):
            lane.advance(scale)
        peaks.append((lane.session.run.cache.peak_bytes, depth))
    unit = peaks[1][0] // (blocks * schedule.total)
    assert peaks[0][0] == unit * max(blocks * schedule.offsets[bridge], 2 * schedule.total)


@pytest.mark.parametrize("name", [n for n in methods.names("cache") if n != "none"])
def test_every_cache_policy_works_inside_active_blocks(name):
    policy = small(name)
    events, _ = drawn(Supernet(depth=2, bridge=3), images=(0,), cache=policy)
    plain, _ = drawn(images=(0,), cache=policy)
    last = tiny.shared()[1].schedule.num_scales - 1
    assert events[last].kv_bytes < plain[last].kv_bytes


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"depth": 3}, "has 2 blocks; take 2 to 2"), ({"depth": 2, "bridge": 3}, "take 1 to 2")],
)
def test_refused_before_loading(use_tiny_models, settings, message):
    spec = RunSpec(model="tiny-var", decoding={"name": "supernet", **settings})
    with pytest.raises(VarSpacesError, match=message):
        plan(spec)
