"""Searches: who lives on, what is decoded, what it costs, and what one candidate gives."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.cache.policies import small
from tests.searching import ON, Redness, calls
from var_spaces import methods
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.search import selection
from var_spaces.decoding.search.best_of_n import BestOfN
from var_spaces.decoding.search.importance import ImportanceSampling
from var_spaces.decoding.search.scoring import Asked
from var_spaces.decoding.search.tts_var import TTSVAR, published_scales
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

SCHEDULE = tiny.shared()[1].schedule
LAST = SCHEDULE.num_scales - 1


def drawn(decoding, images=(0, 1), **changes):
    calls.clear()
    setup = tiny.setup(images, decoding=decoding, asked=(Asked("red"),) * len(images), **changes)
    return tiny.drain(loop.run(setup))


@pytest.mark.parametrize(
    "decoding",
    [
        BestOfN(candidates=1, reward="test-redness"),
        ImportanceSampling(candidates=1, reward="test-redness"),
        TTSVAR(sizes=(1, 1, 1, 1, 1), **ON),
    ],
)
def test_one_candidate_is_plain_decoding_bit_for_bit(decoding):
    plain, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    events, ids = drawn(decoding)
    assert all(map(torch.equal, ids, want))
    assert all((a.image == b.image).all() for a, b in zip(events[-2:], plain[-2:], strict=True))


@pytest.mark.parametrize("candidates", [1, 2])
def test_sizes_compute_and_what_is_seen(candidates):
    decoding = TTSVAR(candidates=candidates, **ON)
    stages = decoding.stages(SCHEDULE)
    events, ids = drawn(decoding)
    scales = events[: LAST + 1]
    assert [e.rows for e in scales] == [2 * rows for rows in stages.batch(SCHEDULE)]
    cost = sum(e.rows * e.tokens for e in scales) / (2 * SCHEDULE.total)
    assert cost == pytest.approx(stages.compute(SCHEDULE))
    chosen = {e.scale: e.candidates for e in scales if e.candidates}
    last = [LAST] if candidates > 1 else []
    assert sorted(chosen) == sorted([*stages.clusters, *stages.resampling, *last])
    for scale, found in chosen.items():
        assert [c.image for c in found] == [0, 1]
        for c in found:
            assert len(c.previews) == stages.batch(SCHEDULE)[scale]
            assert c.why == (
                "clusters"
                if scale in stages.clusters
                else "resampling"
                if scale in stages.resampling
                else "best"
            )
            assert set(c.kept) | set(c.dropped) == set(range(len(c.previews)))
            assert bool(c.rewards) == (scale not in stages.clusters)
    if candidates > 1:
        best = chosen[LAST][0]
        assert best.kept == (int(np.argmax(best.rewards)),)
        shown = next(e.image for e in events[LAST + 1 :] if e.index == 0)
        assert (shown == best.previews[best.kept[0]]).all()
    assert len(calls) == len(stages.resampling) + len(last)  # rewards only where they are needed
    assert all(len(scale) == 2 for scale in ids)


def test_best_of_n_takes_the_best_of_independent_images():
    events, ids = drawn(BestOfN(candidates=3, reward="test-redness"), (0,))
    best = events[LAST].candidates[0]
    assert len(set(best.rewards)) == 3
    assert events[-1].image[..., 0].mean() / 255 == pytest.approx(max(best.rewards), abs=1e-5)
    assert calls == [3]
    assert ids[0].shape[0] == 1


def test_history_reaches_potentials():
    """DIFF and SUM ask for rewards of scales that select nothing, and follow the survivors."""
    count = {}
    for kind in ("value", "diff", "sum", "max", "top"):
        decoding = TTSVAR(
            candidates=2,
            potential=kind,
            cluster_scales=(1,),
            resample_scales=(3, 5),
            sizes=(4, 3, 3, 2),
            **ON,
        )
        drawn(decoding, (0,))
        count[kind] = len(calls)
    assert count == {"value": 3, "diff": 5, "sum": 7, "max": 7, "top": 7}


def rewarding(monkeypatch, score):
    """The reward of these tests gives other numbers."""
    monkeypatch.setattr(Redness, "load", lambda self, asked, device: score)


def test_history_is_that_of_each_survivor(monkeypatch):
    """Of two images whose candidates were chosen and repeated."""
    given, seen = [], []

    def score(images, which):
        given.append(100.0 * len(given) + torch.arange(len(images)))  # every number once
        return given[-1]

    def equal(kind, now, history, strength, top=1):
        seen.append((now.tolist(), history.tolist()))
        return torch.zeros_like(now)

    rewarding(monkeypatch, score)
    monkeypatch.setattr(selection, "potential", equal)
    places = {"cluster_scales": (1,), "resample_scales": (3, 5), "sizes": (3, 3, 2, 2)}
    events, _ = drawn(TTSVAR(potential="sum", **places, **ON))
    looks, rows = iter(seen), [[]] * 6
    for event, numbers in zip(events[: LAST + 1], given, strict=True):
        numbers, size = numbers.tolist(), len(rows) // 2
        if event.scale in (3, 5):
            for own in (slice(0, size), slice(size, None)):
                assert next(looks) == (numbers[own], rows[own])
        rows = [[*row, number] for row, number in zip(rows, numbers, strict=True)]
        if event.candidates:
            rows = [rows[c.image * size + kept] for c in event.candidates for kept in c.kept]
    assert next(looks, None) is None


def test_a_reward_is_told_what_each_image_was_asked_to_show(monkeypatch):
    told = []
    rewarding(monkeypatch, lambda images, which: told.append(which) or torch.zeros(len(images)))
    drawn(BestOfN(candidates=2, reward="test-redness"), (4, 5))
    assert told == [[0, 0, 1, 1]]


def test_what_has_no_number_is_never_the_best(monkeypatch):
    rewarding(monkeypatch, lambda images, which: torch.tensor([0.1, math.nan, 0.3, 0.2]))
    events, _ = drawn(BestOfN(candidates=4, reward="test-redness"), (0,))
    assert events[LAST].candidates[0].kept == (2,)


def test_a_reward_of_another_shape_is_named(monkeypatch):
    rewarding(monkeypatch, lambda images, which: torch.zeros(len(images), 1))
    with pytest.raises(VarSpacesError, match=r"'test-redness' gave \(3, 1\) numbers for 3 images"):
        drawn(BestOfN(candidates=3, reward="test-redness"), (0,))


def test_no_noise_is_used_twice(monkeypatch):
    """That of a selection is none that tokens were drawn with."""
    used, plain = [], SeededNoise.gumbel

    def gumbel(self, rows, scale, part, *sizes):
        used.extend((row, scale, part) for row in rows)
        return plain(self, rows, scale, part, *sizes)

    monkeypatch.setattr(SeededNoise, "gumbel", gumbel)
    drawn(ImportanceSampling(candidates=2, reward="test-redness"), (0,))
    assert len(set(used)) == len(used)


def test_a_search_is_the_same_for_an_image_alone():
    decoding = TTSVAR(candidates=1, **ON)
    same = tiny.ClassConditioning((3, 3))
    _, both = drawn(decoding, conditioning=same)
    _, alone = drawn(decoding, (1,), conditioning=tiny.ClassConditioning((3,)))
    assert all(torch.equal(x[1:], y) for x, y in zip(both, alone, strict=True))


@pytest.mark.parametrize("name", methods.names("cache"))
def test_every_cache_policy_follows_a_search(name):
    policy = small(name)
    _, ids = drawn(TTSVAR(candidates=1, **ON), (0,), cache=policy)
    assert [len(scale) for scale in ids] == [1] * SCHEDULE.num_scales


def test_published_scales():
    assert published_scales(13) == (2, 5, 6, 9)
    stages = TTSVAR(**ON).stages(ScaleSchedule.square(range(1, 14)))
    assert stages.batch(ScaleSchedule.square(range(1, 14))) == (
        8,
        8,
        8,
        6,
        6,
        6,
        4,
        2,
        2,
        2,
        1,
        1,
        1,
    )
    for scales in range(6, 20):
        moved = published_scales(scales)
        assert all(a < b for a, b in pairwise(moved))
        assert moved[-1] < scales - 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": (8, 4)}, "give 5, the first for the start"),
        ({"sizes": (1, 2, 3, 4, 5)}, "must not grow"),
        ({"cluster_scales": (1, 3), "resample_scales": (3, 4)}, "each must be another one"),
        ({"resample_scales": (LAST,)}, "before the last"),
        ({"reward": "jugde"}, "Did you mean 'judge'"),
        ({"features": "jugde"}, "Did you mean 'judge'"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(VarSpacesError, match=message):
        TTSVAR(**{**ON, **changes}).check_schedule(SCHEDULE)


@settings(deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_resampling_draws_by_weight(rewards, seed):
    chances = selection.probabilities(torch.tensor(rewards))
    torch.testing.assert_close(chances, torch.tensor(rewards).softmax(0))
    generator = torch.Generator().manual_seed(seed)
    noise = -torch.rand(5, len(rewards), generator=generator).log().neg().log()
    parents = selection.resample(chances, noise)
    assert ((parents >= 0) & (parents < len(rewards))).all()


@pytest.mark.parametrize(
    ("rewards", "chances"),
    [
        ((0.1, math.nan, 0.1), (0.5, 0, 0.5)),
        ((0.1, math.inf, 0.2), (0, 1, 0)),
        ((0.1, -math.inf, 0.1), (0.5, 0, 0.5)),
        ((math.nan, math.nan), (0.5, 0.5)),
        ((-math.inf, -math.inf), (0.5, 0.5)),
    ],
)
def test_rewards_that_are_not_finite_follow_the_guards(rewards, chances):
    found = selection.probabilities(torch.tensor(rewards))
    torch.testing.assert_close(found, torch.tensor(chances, dtype=torch.float32))


def test_resampling_frequencies():
    chances = torch.tensor([0.5, 0.3, 0.2])
    noise = -torch.rand(20000, 3, generator=torch.Generator().manual_seed(0)).log().neg().log()
    share = selection.resample(chances, noise).bincount(minlength=3) / 20000
    torch.testing.assert_close(share, chances, atol=0.02, rtol=0)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_every_cluster_has_its_representative(clusters, seed):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(clusters, 5, generator=generator) * 100
    points = centres.repeat(3, 1) + torch.randn(3 * clusters, 5, generator=generator) * 0.01
    kept = selection.representatives(points, clusters)
    assert (kept % clusters).sort().values.tolist() == list(range(clusters))


def test_equal_images_can_be_clustered():
    assert selection.representatives(torch.zeros(4, 3), 2).tolist() == [0, 0]


def test_a_cluster_that_nobody_is_in_takes_the_image_closest_to_it():
    vectors = torch.tensor([[0.0], [5.0], [5.0], [5.0], [5.0], [5.0]])
    assert sorted(selection.representatives(vectors, 3).tolist()) == [0, 1, 1]


def test_the_best_of_several_starts_counts(monkeypatch):
    points = torch.randn(60, 2, generator=torch.Generator().manual_seed(4))

    def inertia() -> float:
        labels, centres = selection.k_means(points, 8)
        return (points.double() - centres[labels]).square().sum().item()

    best = inertia()
    monkeypatch.setattr(selection, "RESTARTS", 1)
    assert best < inertia()


def test_importance_sampling_needs_a_scale_after_its_last_selection():
    ImportanceSampling().check_schedule(ScaleSchedule.square(range(1, 7)))
    with pytest.raises(VarSpacesError, match="5 scales are too few to resample between"):
        ImportanceSampling().check_schedule(ScaleSchedule.square(range(1, 6)))


def test_a_search_goes_by_its_own_parameters():
    setup = tiny.setup((0,))
    found = ImportanceSampling(candidates=2, strength=3, reward=ON["reward"])
    assert found.session(setup, (0,)).criteria.strength == 3
    found = TTSVAR(potential="sum", strength=4, vectors="pool", **ON).session(setup, (0,)).criteria
    assert (found.potential, found.strength, found.vectors) == ("sum", 4, "pool")


def test_as_many_of_the_largest_rewards_are_summed_as_asked(monkeypatch):
    """Of rewards 3, 1, 2 and 0 so far, against those of a candidate that had one early."""
    ways = {}
    for top in (1, 2, 3):
        decoding = TTSVAR(potential="top", top=top, strength=0.5, **ON)
        session = decoding.session(tiny.setup((0,)), (0,))
        session.history = torch.tensor([[3.0, 1.0, 2.0], [2.0, 2.0, 2.0]])
        chances = []
        monkeypatch.setattr(selection, "resample", lambda p, _, kept=chances: kept.append(p) or p)
        session._resample(0, 3, torch.zeros(2), torch.arange(2), 2)
        ways[top] = chances[0].log().diff().item() / 0.5
    assert ways == pytest.approx({1: 2 - 3, 2: 4 - 5, 3: 6 - 6})


def test_how_many_are_summed_is_for_that_potential_alone():
    with pytest.raises(VarSpacesError, match="top = 3 counts with potential 'top' alone"):
        methods.parse("decoding", {"name": "tts-var", "potential": "max", "top": 3})
    for kind in ("max", "top"):  # it came later: specs without it keep their ids
        assert "top" not in methods.dump(TTSVAR(potential=kind))
    found = TTSVAR(potential="top", top=3)
    assert methods.parse("decoding", methods.dump(found)) == found
