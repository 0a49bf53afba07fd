"""HACK and HACK++: groups of heads, limits, merging, budgets by reliance."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from tests import tiny
from tests.cache.policies import SCHEDULE, Drive
from var_spaces import methods
from var_spaces.cache import hack_session
from var_spaces.cache.hack import Hack
from var_spaces.cache.hack_budgets import contextual_heads, fill, reliance, split_budget
from var_spaces.cache.hack_session import HackPlusSession, Kind
from var_spaces.cache.kv import KVCache
from var_spaces.cache.merging import merge, others
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.schedule import ScaleSchedule


@pytest.mark.parametrize("budget", [0.1, 0.3, 0.5, 0.7])
def test_limits_hold_and_kinds_differ(budget):
    policy = Hack(budget=budget)
    done = Drive(policy).run()
    small, large = split_budget(budget * SCHEDULE.total, SCHEDULE.total, 0.5, 5)
    variance = policy._calibration(SCHEDULE, 3, 4).column_variance
    groups = [[any(row), not all(row)] for row in contextual_heads(variance, 0.5)]
    for scale, seen in enumerate(SCHEDULE.offsets[1:]):
        for layer, (contextual, structural) in enumerate(groups):
            wanted = [min(small, seen)] * contextual + [min(large, seen)] * structural
            assert list(done.lengths[scale][layer]) == wanted


def test_structural_heads_keep_the_first_scales_and_the_current_one():
    done = Drive(Hack(budget=0.5, alpha=0)).run(scales=4)
    for layer in done.kept[3]:
        held = layer[0]
        assert (held[..., :5] == torch.arange(5)).all()
        assert (held[..., -36:] == torch.arange(21, 57)).all()


def test_a_structural_budget_below_the_first_two_scales_keeps_the_first():
    """The second scale is thinned, however little its queries look at the first."""
    policy = Hack(budget=3 / SCHEDULE.total, alpha=0)
    done = Drive(policy, rows=16).run()
    for scale in range(SCHEDULE.num_scales):
        for (held,) in done.kept[scale]:
            assert held.shape[-1] == min(3, SCHEDULE.offsets[scale + 1])
            assert (held[..., 0] == 0).all()
            assert (held < 5).all()


def test_swapped_heads_trade_places():
    for plain, swapped in zip(
        Hack().head_groups(SCHEDULE, 3, 4),
        Hack(heads="swapped").head_groups(SCHEDULE, 3, 4),
        strict=True,
    ):
        assert plain == swapped[::-1]


def test_merging_changes_the_last_scale_only():
    plain, merged = (Drive(Hack(budget=0.2, alpha=1, merge=m)).run() for m in ("none", "average"))
    for scale in range(4):
        for ours, theirs in zip(plain.outputs[scale], merged.outputs[scale], strict=True):
            assert torch.equal(ours, theirs)
    assert not torch.equal(plain.outputs[4][0], merged.outputs[4][0])


def test_merging_by_hand():
    x = torch.tensor([[1.0, 0], [0, 2], [3, 0], [5, 0]]).view(1, 1, 4, 2)
    index, rest = torch.tensor([[[0, 1]]]), torch.tensor([[[2, 3]]])
    assert torch.equal(others(index, 4), rest)
    target = torch.zeros_like(rest)
    average = merge(x, index, rest, target, "average")[0, 0]
    assert average.tolist() == [[3, 0], [0, 2]]
    pivotal = merge(x, index, rest, target, "pivotal")[0, 0]
    assert pivotal.tolist() == [[2, 0], [0, 2]]


@pytest.mark.parametrize("budget", [0.05, 0.2, 0.6])
def test_plus_keeps_less_than_it_attends_to(budget):
    policy = Hack(mode="hack++", budget=budget, attention=0.4)
    done = Drive(policy).run()
    for lengths in done.lengths:
        mean = sum(
            length * len(members)
            for layer, groups in zip(lengths, policy.head_groups(SCHEDULE, 3, 4), strict=True)
            for length, members in zip(layer, groups, strict=True)
        ) / (3 * 4)
        assert mean <= max(1, budget * SCHEDULE.total)
    assert not torch.equal(done.outputs[4][0], Drive(Hack(budget=budget)).run().outputs[4][0])


@pytest.mark.parametrize(("budget", "attention"), [(0.1, 0.4), (0.6, 0.3)])
def test_one_attention_of_plus_sees_its_share_or_all_that_is_kept(budget, attention):
    """With more in the cache than one attention was to see, nothing of it is lost."""
    done, seen = Drive(Hack(mode="hack++", budget=budget, attention=attention)), []
    attend = done.cache.attention

    def watched(q, views, *rest):
        seen.append(max(view.k.shape[2] for view in views))
        return attend(q, views, *rest)

    done.cache.attention = watched
    done.run()
    share = round(attention * SCHEDULE.total)
    if budget < attention:
        assert max(seen) == share
    assert max(seen) == max(share, *(length for layer in done.lengths[-1] for length in layer))
    assert max(seen) >= round(budget * SCHEDULE.total)


def kept_of_plus(sides, structural, keys, values, limit):
    """What one head of HACK++ keeps of tokens that come scale by scale; all queries are alike."""
    schedule = ScaleSchedule.square(sides)
    cache = KVCache(layers=1, rows=1, heads=1, head_dim=1, capacity=schedule.total)
    prior = [torch.tensor([[[1.0, 0.0], [0.1, 1.0]]])]
    limits = [[[limit]]] * schedule.num_scales
    kinds = [[Kind(structural, limit)]]
    session = HackPlusSession(cache, schedule, kinds, 9, limits, schedule.total, prior)
    for scale in range(schedule.num_scales):
        k, v = (x[None, None, schedule.span(scale), None] for x in (keys, values))
        cache.begin_scale(scale)
        cache.attend(0, torch.ones_like(k), k, v, 1.0)
    assert session.limits is limits  # it is here still: a cache holds what watches it weakly
    return cache.positions(0, 0).flatten().tolist()


def test_structural_heads_of_plus_score_by_prior_and_the_length_of_values():
    """0.1 * 9 and 1, 4, 2, 3; keys say otherwise and do not count."""
    values = torch.tensor([9.0, 1.0, -4.0, 2.0, 3.0])
    for limit, kept in ((1, [2]), (3, [2, 3, 4]), (4, [1, 2, 3, 4])):
        assert kept_of_plus((1, 2), True, -values, values, limit) == kept


def test_contextual_heads_of_plus_keep_the_neighbours_of_what_is_looked_at():
    """In rows and columns of the map, whatever the values are."""
    keys, values = torch.zeros(17), torch.arange(17.0)
    keys[1 + 1 * 4 + 2] = 9  # row 1, column 2
    block = [1 + row * 4 + column for row in range(3) for column in (1, 2, 3)]
    assert kept_of_plus((1, 4), False, keys, values, 9) == block


def test_the_last_scale_of_plus_keeps_what_the_one_before_does():
    """Nothing looks back on it, so its own reliance is nothing."""
    limits = Drive(Hack(mode="hack++", budget=0.1)).session.limits
    assert limits[-1] == limits[-2]


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 8)), min_size=1, max_size=8),
    st.floats(1, 60),
    st.integers(1, 50),
)
@example([(2.225073858507e-311, 1)], 1.0, 2)
def test_filling_meets_the_mean(groups, mean, cap):
    weights, sizes = zip(*groups, strict=True)
    amounts = fill(weights, sizes, mean, cap)
    used = sum(a * s for a, s in zip(amounts, sizes, strict=True)) / sum(sizes)
    assert all(1 <= amount <= cap for amount in amounts)
    assert used <= max(1, mean) + 1e-6
    if all(weights):
        assert used > min(mean, cap) - 1 - 1e-6


def test_the_prior_of_hack_plus_is_attention_per_token_of_a_source_scale():
    """The masses that a calibration holds are of whole scales, and add up to one."""
    done = Drive(Hack(mode="hack++", budget=0.3))
    lengths = torch.tensor(SCHEDULE.lengths)
    mass = Hack()._calibration(SCHEDULE, 3, 4).mass
    for layer, prior in enumerate(done.session.prior):
        for scale in range(SCHEDULE.num_scales):
            whole = prior[:, scale] * lengths
            torch.testing.assert_close(whole.sum(-1), torch.ones(4))
            given = torch.tensor([mass[layer][h][scale] for h in range(4)])
            torch.testing.assert_close(whole[:, : scale + 1], given)


def test_reliance_counts_later_scales_only():
    head = [[1.0], [0.6, 0.4], [0.2, 0.4, 0.4]]
    assert reliance([head], (0, 1, 5, 14), 0) == pytest.approx([0.6 / 1 + 0.6 / 5])
    assert reliance([head], (0, 1, 5, 14), 1) == pytest.approx([0.6 / 5])
    assert reliance([head], (0, 1, 5, 14), 2) == [0]


def test_budgets_of_hack_plus_follow_reliance_as_strongly_as_asked():
    """With power 0 all groups hold alike; the more power, the further apart they are."""
    spreads = []
    for power in (0, 0.5, 2):
        limits = Drive(Hack(mode="hack++", budget=0.2, power=power)).session.limits[3]
        amounts = [amount for layer in limits for amount in layer]
        spreads.append(max(amounts) - min(amounts))
    assert spreads[0] == 0 and spreads[0] < spreads[1] < spreads[2], spreads


@pytest.mark.parametrize("mode", ["hack", "hack++"])
def test_the_full_condition_may_choose_for_all(mode, monkeypatch):
    """Its rows keep and see what they did before, the others keep the same: half the scores."""
    probabilities, scored = hack_session.probabilities, []

    def counted(q, k, scale):
        scored.append((len(q), len(k)))
        return probabilities(q, k, scale)

    monkeypatch.setattr(hack_session, "probabilities", counted)
    own, shared = (
        Drive(Hack(mode=mode, budget=0.2, shared=flag), rows=4, blocks=2).run()
        for flag in (False, True)
    )
    assert set(scored[: len(scored) // 2]) == {(4, 4)}
    assert set(scored[len(scored) // 2 :]) == {(2, 2)}
    for before, after in zip(own.kept, shared.kept, strict=True):
        for kept, held in zip(chain(*before), chain(*after), strict=True):
            assert torch.equal(held[:2], kept[:2])
            assert torch.equal(held[2:], held[:2])
    assert not all(torch.equal(kept[2:], kept[:2]) for kept in chain(*own.kept[-1]))
    for before, after in zip(chain(*own.outputs), chain(*shared.outputs), strict=True):
        torch.testing.assert_close(after[:2], before[:2])
    assert not torch.equal(own.outputs[-1][0][2:], shared.outputs[-1][0][2:])


def drawn(shared: bool, **changes):
    """What a guided run of two images keeps at the end, and the ids that it draws."""
    kept = {}

    def observe(what, scale, tensor):
        if what == "kept":
            kept[scale] = tensor

    cache = Hack(budget=0.3, shared=shared)
    ids = tiny.drain(loop.run(tiny.setup((0, 1), cache=cache, observe=observe, **changes)))[1]
    return kept[max(kept)], ids


def test_guided_runs_share_what_is_kept_and_runs_without_guidance_do_not_change():
    (kept, ids), (held, others) = drawn(False), drawn(True)
    assert torch.equal(held[:, :2], held[:, 2:])  # two images of each condition
    assert not torch.equal(kept[:, :2], kept[:, 2:]) and not torch.equal(held[:, 0], held[:, 1])
    assert not all(map(torch.equal, ids, others))
    plain = LinearGuidance(scale=0)
    one, two = (drawn(shared, guidance=plain)[1] for shared in (False, True))
    assert all(map(torch.equal, one, two))


def test_sharing_came_later_and_changes_no_id():
    assert "shared" not in methods.dump(methods.parse("cache", {"name": "hack", "shared": False}))
    shared = Hack(shared=True)
    assert methods.parse("cache", methods.dump(shared)) == shared
