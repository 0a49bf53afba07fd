"""Sliding window, StreamingLLM, H2O, SnapKV, PyramidKV, random: what they keep."""

from __future__ import annotations

import pytest
import torch

from tests.cache.policies import SCHEDULE, Drive
from var_spaces.cache.budget import history
from var_spaces.cache.h2o import H2O
from var_spaces.cache.pyramidkv import PyramidKV
from var_spaces.cache.random import Random
from var_spaces.cache.selection import attention_mass, best, pool, probabilities
from var_spaces.cache.snapkv import SnapKV
from var_spaces.cache.streaming import StreamingLLM
from var_spaces.cache.window import SlidingWindow
from var_spaces.errors import VarSpacesError

BUDGET = 0.3
LIMIT = round(BUDGET * (1 + 4 + 16 + 36))


def test_history_leaves_out_the_last_scale():
    assert history(SCHEDULE) == 57


@pytest.mark.parametrize("policy", [SlidingWindow, StreamingLLM, H2O, SnapKV, Random])
def test_limit_holds_after_every_scale(policy):
    done = Drive(policy(budget=BUDGET)).run()
    seen = [min(LIMIT, n) for n in SCHEDULE.offsets[1:]]
    assert done.lengths == [((min(n, LIMIT),),) * 3 for n in seen]
    for kept in done.kept:
        for (positions,) in kept:
            assert (positions.diff(dim=-1) > 0).all()


@pytest.mark.parametrize("policy", [SlidingWindow, H2O, SnapKV, PyramidKV])
def test_the_smallest_budget_keeps_one_entry(policy):
    assert Drive(policy(budget=0.001)).run().lengths == [((1,),) * 3] * 5


def test_pooling_keeps_the_size_and_refuses_a_width_without_a_middle():
    scores = torch.randn(1, 2, 10)
    for kind in ("max", "average"):
        assert pool(scores, 3, kind).shape == scores.shape
        with pytest.raises(ValueError, match="kernel = 4 must be odd"):
            pool(scores, 4, kind)


def test_sliding_window_keeps_the_newest():
    done = Drive(SlidingWindow(budget=BUDGET)).run()
    newest = torch.arange(57 - LIMIT, 57)
    assert (done.kept[3][1][0] == newest).all()


def test_streaming_keeps_the_first_and_the_newest():
    done = Drive(StreamingLLM(budget=BUDGET, sinks=3)).run()
    expected = torch.cat((torch.arange(3), torch.arange(57 - LIMIT + 3, 57)))
    assert (done.kept[3][2][0] == expected).all()


def test_random_ranks_are_nested_differ_by_head_and_are_equal_for_rows():
    done = Drive(Random(budget=BUDGET)).run()
    kept = done.kept[3][0][0]
    assert (kept[0] == kept[1]).all()
    assert (kept[0, 0] != kept[0, 1]).any()
    assert (kept != done.kept[3][1][0]).any()  # another layer
    before, after = (set(done.kept[k][0][0][0, 0].tolist()) for k in (2, 3))
    assert {p for p in after if p < 21} <= before
    again = Drive(Random(budget=BUDGET, seed=1)).run().kept[3][0][0]
    assert (again != kept).any()


def test_h2o_is_accumulated_attention():
    """Against a loop over heads that keeps the mass of every token it still holds."""
    done = Drive(H2O(budget=BUDGET), rows=1, layers=1).run()
    generator = torch.Generator().manual_seed(0)
    for head in range(4):
        generator.manual_seed(0)
        keys, mass, held = {}, {}, []
        for scale, count in enumerate(SCHEDULE.lengths):
            q, k, _ = torch.randn(3, 1, 4, count, 8, generator=generator)[:, 0, head].unbind(0)
            for i in range(count):
                held.append(SCHEDULE.offsets[scale] + i)
                keys[held[-1]], mass[held[-1]] = k[i], 0.0
            weights = (q @ torch.stack([keys[p] for p in held]).T * 0.5).softmax(-1).sum(0)
            for p, w in zip(held, weights.tolist(), strict=True):
                mass[p] += w
            recent = held[len(held) - LIMIT // 2 :]
            older = sorted(held[: len(held) - LIMIT // 2], key=lambda p: -mass[p])
            if len(held) > LIMIT:
                held = sorted(older[: LIMIT - LIMIT // 2] + recent)
            assert done.kept[scale][0][0][0, head].tolist() == held


def test_snapkv_protects_its_window_and_keeps_what_it_looks_at():
    torch.manual_seed(0)
    policy = SnapKV(budget=BUDGET, window=4, kernel=1)
    done = Drive(policy, rows=1, layers=1)
    done.cache.begin_scale(0)
    k, v = torch.randn(2, 1, 4, 40, 8).unbind(0)
    q = k[:, :, 7:8].expand(-1, -1, 40, -1) * 9  # every query looks for entry 7
    done.cache.attend(0, q, k, v, 1.0)
    kept = done.cache.positions(0, 0)
    assert kept.shape[-1] == LIMIT
    assert (kept[..., -4:] == torch.arange(36, 40)).all()
    assert (kept == 7).any(-1).all()


def test_small_budget_shrinks_the_window():
    kept = Drive(SnapKV(budget=0.05)).run().kept[3][0][0]
    assert kept.shape[-1] == 3
    assert (kept[..., -1] == 56).all()


def test_pyramid_falls_with_depth_and_has_the_mean_of_the_budget():
    limits = PyramidKV(budget=0.2).limits(SCHEDULE, 5, 4)[0]
    assert limits == sorted(limits, reverse=True)
    assert sum(limits) == round(5 * 0.2 * 57)
    assert limits[-1] == 1
    wide = PyramidKV(budget=0.9).limits(SCHEDULE, 5, 4)[0]
    assert max(wide) <= 57
    assert sum(wide) == pytest.approx(5 * 0.9 * 57, abs=1)
    assert set(PyramidKV(budget=0.2, steepness=1).limits(SCHEDULE, 3, 4)[0]) <= {11, 12}
    assert PyramidKV(budget=0.2).limits(SCHEDULE, 1, 4)[0] == [11]


def test_even_kernel_is_refused():
    with pytest.raises(VarSpacesError, match="kernel = 4 must be odd"):
        SnapKV(kernel=4)


def test_mass_in_chunks_is_the_sum_of_probabilities(monkeypatch):
    q, k = torch.randn(2, 3, 7, 8), torch.randn(2, 3, 11, 8)
    whole = probabilities(q, k, 0.3).sum(2)
    monkeypatch.setattr("var_spaces.cache.selection.CHUNK_ELEMENTS", 2 * 3 * 11 * 2)
    torch.testing.assert_close(attention_mass(q, k, 0.3), whole)
    torch.testing.assert_close(whole.sum(-1), torch.full((2, 3), 7.0))


def test_earlier_of_equal_entries_stays():
    assert best(torch.tensor([[1.0, 2.0, 1.0, 1.0, 3.0]]), 3).tolist() == [[0, 1, 4]]


def test_a_small_budget_keeps_what_its_window_looks_at():
    """Half of the budget is the window; a window as large as the budget is a sliding window."""
    torch.manual_seed(0)
    done = Drive(SnapKV(budget=0.1, kernel=1), rows=1, layers=1)
    done.cache.begin_scale(0)
    k, v = torch.randn(2, 1, 4, 40, 8).unbind(0)
    k[:, :, 7] *= 4
    q = k[:, :, 7:8].expand(-1, -1, 40, -1) * 9  # every query looks for entry 7
    done.cache.attend(0, q, k, v, 1.0)
    kept = done.cache.positions(0, 0)
    assert kept.shape[-1] == 6
    assert (kept[..., -3:] == torch.arange(37, 40)).all()
    assert (kept == 7).any(-1).all()
