"""HACK and HACK++: groups of heads, limits, merging, budgets by reliance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cache.policies import SCHEDULE, Drive
from var_spaces.cache.hack import Hack
from var_spaces.cache.hack_budgets import contextual_heads, fill, reliance, split_budget
from var_spaces.cache.merging import merge, others


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
