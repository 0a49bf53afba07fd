"""ScaleKV: budgets of any size, where drafters come from, and what is refused."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cache.policies import SCHEDULE, Drive
from var_spaces import methods
from var_spaces.cache.budget import Held
from var_spaces.cache.calibration import Calibration, find
from var_spaces.cache.kv import KVCache
from var_spaces.cache.scalekv import ScaleKV, observation_window, window_importance
from var_spaces.cache.scalekv_budgets import allocate
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

G = (0, 2, 4, 6)  # rows and columns of the grid in a map of 8 x 8
INFINITY = ScaleSchedule.square([1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64])


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=8).map(sorted),
    st.integers(1, 200),
    st.integers(1, 12),
    st.data(),
)
def test_mean_never_exceeds_the_budget(sides, uniform, layers, data):
    lengths = [side * side for side in sides]
    drafters = {k: data.draw(st.integers(0, layers)) for k in range(len(lengths))}
    for k, budget in allocate(lengths, uniform, layers, drafters, uniform * 4 // 13).items():
        count = drafters[k]
        used = count * budget.drafter + (layers - count) * budget.refiner
        assert used <= uniform * layers
        assert used > (uniform - 1) * layers - layers
        assert 0 <= budget.refiner <= budget.drafter <= budget.limit or count in (0, layers)


@pytest.mark.parametrize("percent", [4, 10, 20, 30, 50, 80, 99])
def test_published_drafters_at_any_budget(percent):
    policy = ScaleKV(budget=percent / 100)
    limits = policy.limits(INFINITY, 32, 16)
    for row in limits[:-1]:
        if max(row) < INFINITY.total:
            assert sum(row) == 32 * round(percent / 100 * 6425)
            assert row[0] == max(row)


def test_drafters_follow_the_calibration():
    """The made-up calibration of the driven model: those of lowest selectivity keep more."""
    limits = ScaleKV(budget=0.3, drafters=0.4).limits(SCHEDULE, 3, 4)
    assert limits[0] == [SCHEDULE.total] * 3
    assert any(len(set(row)) > 1 for row in limits[2:4])
    uniform = ScaleKV(budget=0.3, drafters=0).limits(SCHEDULE, 3, 4)
    assert uniform[3] == [17] * 3


@pytest.mark.parametrize("scoring", ["paper", "reference"])
def test_keeps_its_limits(scoring):
    policy = ScaleKV(budget=0.3, scoring=scoring, drafters=0.4)
    done = Drive(policy).run()
    limits = policy.limits(SCHEDULE, 3, 4)
    held = [0] * 3
    for scale, count in enumerate(SCHEDULE.lengths):
        held = [min(h + count, limit) for h, limit in zip(held, limits[scale], strict=True)]
        assert done.lengths[scale] == tuple((h,) for h in held)


def test_model_without_calibration_is_told_to_calibrate():
    with pytest.raises(VarSpacesError, match=r"7 layers, 5 heads and 5 scales.*calibrate MODEL"):
        ScaleKV().limits(SCHEDULE, 7, 5)


def test_unknown_calibration_gets_a_suggestion():
    with pytest.raises(VarSpacesError, match="Did you mean 'driven'"):
        ScaleKV(calibration="drven").limits(SCHEDULE, 3, 4)
    with pytest.raises(VarSpacesError, match="'tiny' does not fit a model of 3 layers, 4 heads"):
        ScaleKV(calibration="tiny").limits(SCHEDULE, 3, 4)


def test_of_several_calibrations_the_model_s_own_then_that_of_its_scales(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_CALIBRATIONS", str(tmp_path))
    for name, last in (("base", 2), ("mine", 3), ("other", 4)):
        layout = {"layers": 7, "heads": 5, "sizes": ((1, 1), (last, last))}
        Calibration(model=name, mass=[[[[1 / 3]]]], **layout).write(tmp_path)
    layout = (ScaleSchedule.square((1, 4)), 7, 5)
    assert find("auto", "mass", *layout, ("mine", "base")).model == "mine"
    assert find("auto", "mass", *layout, ("new", "base")).model == "base"
    found = find("auto", "mass", *layout)
    assert found.model == "other" and found.mass == ((((0.333333,),),),)  # six digits
    with pytest.raises(VarSpacesError, match="Several calibrations fit"):
        find("auto", "mass", ScaleSchedule.square((1, 9)), 7, 5)


def test_backbone_without_raw_queries_is_refused_in_reference_mode():
    done = Drive(ScaleKV(budget=0.2, scoring="reference"))
    done.cache.begin_scale(3)
    q = done.cache.views(0)[0].k.new_ones(2, 4, 40, 8)
    with pytest.raises(VarSpacesError, match="use scoring 'paper'"):
        done.cache.attend(0, q, q, q, 1.0)


def test_the_pooling_is_a_parameter_that_changes_no_id():
    """Width and kind came later: specs without them keep their ids."""
    usual = methods.parse("cache", {"name": "scalekv", "budget": 0.3})
    assert methods.parse("cache", {"name": "scalekv", "budget": 0.3, "kernel": 5}) == usual
    assert not {"kernel", "pooling"} & {*methods.dump(usual)}
    averaged = ScaleKV(scoring="reference", pooling="average")
    assert methods.parse("cache", methods.dump(averaged)) == averaged
    narrow = methods.parse("cache", {"name": "scalekv", "kernel": 3})
    assert methods.dump(narrow)["kernel"] == 3
    assert methods.parse("cache", methods.dump(narrow)) == narrow
    for kernel, words in ((4, "kernel = 4 must be odd"), (0, "1 to 63")):
        with pytest.raises(VarSpacesError, match=words):
            methods.parse("cache", {"name": "scalekv", "kernel": kernel})


def test_a_peak_spreads_as_far_as_the_pooling_is_wide():
    schedule = ScaleSchedule.square((1, 4, 8))
    sizes = {"layers": 1, "rows": 1, "heads": 1, "head_dim": 4}
    cache = KVCache(**sizes, capacity=schedule.total)
    k = torch.zeros(1, 1, schedule.total, 4)
    k[0, 0, 9, 0] = 50.0  # what every query looks at
    cache.append(0, k, k)
    cache.raw_queries = lambda index: torch.ones(1, 1, len(index), 4)
    held = Held(
        schedule=schedule,
        scale=2,
        layer=0,
        heads=slice(0, 1),
        limit=40,
        k=k,
        v=k,
        positions=cache.positions(0, 0),
        queries=torch.ones(1, 1, 64, 4),
        score_scale=1.0,
        carried=None,
        cache=cache,
    )
    for scoring, pooling in product(("reference", "paper"), ("max", "average")):
        for kernel in (3, 5):
            importance = window_importance(held, scoring, pooling, kernel)[0, 0, :17]
            policy = ScaleKV(scoring=scoring, pooling=pooling, kernel=kernel)
            assert torch.equal(policy.importance(held)[0, 0, :17], importance)
            auto = ScaleKV(scoring=scoring, kernel=kernel).importance(held)[0, 0, :17]
            assert torch.equal(auto, importance) == ((scoring == "paper") == (pooling == "average"))
            least = importance[importance.isfinite()].min()  # averages with the window are -inf
            raised = (importance > least + 1e-3).nonzero().flatten().tolist()
            reach = kernel // 2
            near = list(range(9 - reach, 9 + reach + 1))
            assert [place for place in raised if 6 <= place <= 12] == near


@pytest.mark.parametrize(
    ("size", "scoring", "window"),
    [
        ((8, 8), "paper", [0, 2, 4, 6]),
        ((8, 8), "reference", [0, 2, 4, 6]),
        ((4, 8), "paper", [0, 2, 4, 6]),
        ((4, 8), "reference", [16, 17, 18, 19]),  # no grid there: the last 16 tokens
        ((2, 3), "reference", [0, 1, 2, 3]),
    ],
)
def test_the_window_of_maps_that_are_not_square(size, scoring, window):
    found = observation_window(holding(size, limit=40), scoring)
    assert found[:4].tolist() == window and len(found) == min(16, size[0] * size[1])


def holding(size: tuple[int, int], history: int = 0, limit: int = 20, raw=None) -> Held:
    """One head that holds entries of earlier scales and a map of ``size``, keys all alike."""
    here, schedule = size[0] * size[1], ScaleSchedule(((1, history), size) if history else (size,))
    cache = KVCache(layers=1, rows=1, heads=1, head_dim=4, capacity=schedule.total)
    k, scale = torch.ones(1, 1, history + here, 4), schedule.num_scales - 1
    cache.append(0, k, k)
    cache.raw_queries = raw
    positions = cache.positions(0, 0)
    q = torch.ones(1, 1, here, 4)
    return Held(schedule, scale, 0, slice(0, 1), limit, k, k, positions, q, 1.0, None, cache)


@pytest.mark.parametrize(
    ("map_size", "size", "scoring", "window"),
    [
        ((8, 8), 16, "reference", [20 + 8 * row + column for row in G for column in G]),
        ((3, 3), 16, "reference", range(13, 29)),  # the last of the cache, not of the map
        ((3, 3), 16, "paper", range(20, 29)),
        ((2, 3), 16, "reference", range(10, 26)),
        ((3, 3), 36, "reference", range(29)),
        ((8, 8), 8, "reference", range(76, 84)),  # no square number
        ((8, 8), 8, "paper", range(76, 84)),
        ((8, 8), 4, "reference", [29, 33, 61, 65]),
        ((3, 3), 9, "reference", range(20, 29)),
    ],
)
def test_the_window_with_a_history(map_size, size, scoring, window):
    held = holding(map_size, history=20, limit=40)
    assert observation_window(held, scoring, size).tolist() == list(window)


def test_a_window_in_the_history_stays_and_the_current_map_scores():
    asked = []

    def raw(index):
        asked.extend(index.tolist())
        return torch.full((1, 1, len(index), 4), 0.5)

    held = holding((2, 3), history=20, raw=raw)
    importance = window_importance(held, "reference", "max", 5)[0, 0]
    assert asked == list(range(6))
    assert importance.isposinf().nonzero().flatten().tolist() == list(range(10, 26))
    assert importance[:10].tolist() == [6.0] * 10  # 6 queries, each 4 * 0.5 / sqrt(4)


@pytest.mark.parametrize(("scoring", "kept"), [("reference", 16), ("paper", 6)])
def test_a_budget_below_the_window(scoring, kept):
    """The released code keeps the whole window, more than the budget; otherwise it shrinks."""
    policy = ScaleKV(budget=0.1, scoring=scoring, drafters=0)
    done = Drive(policy).run()
    assert done.lengths[-1] == ((kept,),) * 3
    if scoring == "reference":
        first, grid = SCHEDULE.offsets[4], torch.tensor([0, 2, 4, 6])
        window = first + (grid[:, None] * 8 + grid).flatten()
        assert (done.kept[4][0][0] == window).all()
