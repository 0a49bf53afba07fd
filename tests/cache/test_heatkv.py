"""HeatKV: the plan of what is dropped, and that the cache follows it."""

from __future__ import annotations

import pytest
import torch

from tests.cache.policies import SCHEDULE, Drive
from var_spaces.cache.heatkv import HeatKV
from var_spaces.cache.heatkv_schedule import future_mass, plan_atoms, sinks_held
from var_spaces.cache.quantised import Quantised


def test_future_mass_is_the_mean_over_later_scales():
    head = [[1.0], [0.6, 0.4], [0.2, 0.3, 0.5]]
    assert future_mass(head, 0) == pytest.approx(0.4)
    assert future_mass(head, 1) == pytest.approx(0.3)
    assert future_mass(head, 2) == 0


def test_plan_by_hand():
    """Two heads, scales of 1, 2 and 4 tokens, the last never stored; head 1 is looked at less."""
    mass = [[[[1], [0.9, 0.1], [0.5, 0.4, 0.1]], [[1], [0.1, 0.9], [0.1, 0.2, 0.7]]]]
    plan = plan_atoms(mass, (1, 2, 4), 0.67, 1)  # 4.02 of 6 entries
    assert plan == [[[{0}, {0}]], [[{0, 1}, {0}]], [[{0, 1}, {0}]]]
    tight = plan_atoms(mass, (1, 2, 4), 0.2, 1)  # 1.2 entries: not even the first scale fits
    assert tight == [[[{0}, set()]], [[set(), set()]], [[set(), set()]]]


def test_a_budget_as_large_as_the_first_scales_holds_them():
    """Entries of two heads: 1, 1 and 2 of each are stored, 4 of the 8 are allowed."""
    assert [sinks_held((1, 1, 2, 4), 0.5, sinks, 2) for sinks in range(4)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("budget", "sinks", "words"),
    [
        (0.5, 3, None),  # 21 of 28 entries
        (0.3, 3, "HeatKV keeps 2 of the first 3 scales whole: a budget of 0.3"),
        (0.01, 3, "HeatKV keeps 0 of the first 3"),
        (0.01, 0, None),
        (0.99, 9, "HeatKV keeps 3 of the first 9"),
        (1, 9, None),
    ],
)
def test_a_budget_that_does_not_hold_the_first_scales_is_told(budget, sinks, words):
    for policy in (
        HeatKV(budget=budget, sinks=sinks),
        *([Quantised(policy="heatkv", policy_budget=budget)] if sinks == 3 else []),
    ):
        assert [note.startswith(words) for note in policy.notes(SCHEDULE)] == (
            [True] if words else []
        )


@pytest.mark.parametrize("budget", [0.05, 0.2, 0.5, 0.9])
def test_the_cache_follows_the_plan(budget):
    policy = HeatKV(budget=budget)
    done, plan = Drive(policy).run(), policy._plan(SCHEDULE, 3, 4)
    source = torch.arange(SCHEDULE.num_scales).repeat_interleave(torch.tensor(SCHEDULE.lengths))
    allowed = budget * 12 * 57
    before = 0
    for scale, layers in enumerate(plan):
        held = 0
        for layer, groups in enumerate(policy._groups(plan)):
            for group, members in enumerate(groups):
                kept = done.kept[scale][layer][group]
                sources = layers[layer][members[0]]
                wanted = sum(SCHEDULE.lengths[s] for s in sources)
                assert kept.shape[-1] == wanted
                assert set(source[kept].flatten().tolist()) == (sources if wanted else set())
                held += wanted * len(members)
        assert held <= allowed
        before = held
    assert before > 0.6 * allowed or budget < 0.2
