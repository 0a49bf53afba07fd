"""Votes and rankings: nothing gets lost, the true order comes out, intervals hold it."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from var_spaces import RunSpec
from var_spaces.compare import battle, votes
from var_spaces.compare.battle import Battle, next_battle
from var_spaces.compare.ranking import MEAN, comparable, ranking, strengths
from var_spaces.errors import VarSpacesError

TRUTH = {"best": 1200.0, "good": 1100.0, "fair": 950.0, "poor": 750.0}
SPEC = RunSpec(model="tiny-var", inputs={"class": "key"}, seed=4)


def simulated(count: int, seed: int = 1) -> list[tuple[str, str, str]]:
    """Votes of people who follow the model, a tenth of them undecided."""
    dice, names = random.Random(seed), list(TRUTH)
    found = []
    for _ in range(count):
        a, b = dice.sample(names, 2)
        odds = 1 / (1 + 10 ** ((TRUTH[b] - TRUTH[a]) / 400))
        tie = dice.random() < 0.1
        found.append((a, b, "tie" if tie else "a" if dice.random() < odds else "b"))
    return found


def test_simulated_votes_recover_the_true_order():
    ranks = ranking(Counter(simulated(1500)), rounds=60)
    assert [rank.name for rank in ranks] == list(TRUTH)
    assert all(rank.low < rank.points < rank.high for rank in ranks)
    assert np.mean([rank.points for rank in ranks]) == pytest.approx(MEAN)
    assert sum(rank.votes for rank in ranks) == 3000


def test_strengths_solve_the_likelihood():
    """At the maximum, expected and counted wins are equal; here with the prior's two half votes."""
    a, b = np.array([0, 0, 1, 1, 2]), np.array([1, 2, 2, 0, 0])
    score = np.array([1.0, 1, 0.5, 0, 1])
    points = strengths(a, b, score, 3, np.ones(5))
    theta = np.exp((points - MEAN) * np.log(10) / 400)
    wins, expected = np.full(3, 0.5), theta / (theta + 1)
    np.add.at(wins, a, score)
    np.add.at(wins, b, 1 - score)
    np.add.at(expected, a, theta[a] / (theta[a] + theta[b]))
    np.add.at(expected, b, theta[b] / (theta[a] + theta[b]))
    assert np.allclose(wins - wins.mean(), expected - expected.mean(), atol=0.05)


def one_by_one(votes, names) -> np.ndarray:
    """Points by the update of Hunter 2004, vote for vote and player for player."""
    strength = dict.fromkeys(names, 1.0)
    for _ in range(2000):
        new = {}
        for name in names:
            wins, played = 0.5, 1.0 / (strength[name] + 1)
            for a, b, winner in votes:
                if name in (a, b):
                    other = b if name == a else a
                    wins += 0.5 if winner == "tie" else float((winner == "a") == (name == a))
                    played += 1 / (strength[name] + strength[other])
            new[name] = wins / played
        mean = np.exp(np.mean(np.log(list(new.values()))))
        new = {name: value / mean for name, value in new.items()}
        moved = max(abs(np.log(new[name] / strength[name])) for name in names)
        strength = new
        if moved < 1e-9:
            break
    return MEAN + 400 * np.log10([strength[name] for name in names])


def test_all_resamples_are_fitted_as_each_of_them_alone():
    names, votes = list(TRUTH), simulated(25)
    assert len(names) == 4
    kinds = sorted(set(votes))
    dice = np.random.default_rng(5)
    times = dice.multinomial(25, np.full(len(kinds), 1 / len(kinds)), size=6)
    first, second = (np.array([names.index(k[side]) for k in kinds]) for side in (0, 1))
    score = np.array([{"a": 1.0, "b": 0.0, "tie": 0.5}[k[2]] for k in kinds])
    points = strengths(first, second, score, 4, times.reshape(2, 3, -1))
    assert points.shape == (2, 3, 4)
    for one, found in zip(times, points.reshape(6, 4), strict=True):
        drawn = [kind for kind, count in zip(kinds, one, strict=True) for _ in range(count)]
        assert np.allclose(found, one_by_one(drawn, names), atol=1e-5)


def test_intervals_are_those_of_votes_drawn_with_replacement():
    votes, names, dice = simulated(40), sorted(TRUTH), random.Random(2)
    spread = [one_by_one(dice.choices(votes, k=40), names) for _ in range(60)]
    low, high = np.percentile(spread, (2.5, 97.5), axis=0)
    found = {rank.name: rank for rank in ranking(Counter(votes))}
    width = np.mean(high - low)
    assert np.mean([r.high - r.low for r in found.values()]) == pytest.approx(width, rel=0.2)
    for name, a, b in zip(names, low, high, strict=True):
        assert abs((found[name].low + found[name].high) / 2 - (a + b) / 2) < 0.25 * width


def test_the_order_of_votes_says_nothing():
    votes = simulated(50)
    assert ranking(Counter(votes), rounds=20) == ranking(Counter(votes[::-1]), rounds=20)


def test_votes_that_were_counted_are_not_spelled_out():
    """A few kinds of votes, each cast more often than a list of them could hold."""
    many = {("x", "y", "a"): 3 * 10**12, ("x", "y", "b"): 10**12}
    first, second = ranking(many, rounds=20)
    assert (first.name, second.name, first.votes) == ("x", "y", 4 * 10**12)
    assert first.points - second.points == pytest.approx(400 * np.log10(3), abs=0.01)


def test_fewer_votes_are_less_sure():
    few, many = (ranking(Counter(simulated(count)), rounds=100) for count in (60, 2000))
    assert np.mean([r.high - r.low for r in few]) > 2 * np.mean([r.high - r.low for r in many])


def test_who_always_wins_stays_finite():
    ranks = ranking({("a", "b", "a"): 20}, rounds=20)
    assert ranks[0].name == "a"
    assert all(np.isfinite([rank.points, rank.low, rank.high]).all() for rank in ranks)
    assert ranking({}) == []


def test_only_who_met_is_ranked_together():
    """Directly or through others: points of the rest have nothing to do with theirs."""
    found = [("a", "b", "a"), ("x", "y", "tie"), ("c", "b", "b"), ("y", "z", "a")]
    assert comparable(found, "c") == [found[0], found[2]]
    assert comparable(found, "z") == [found[1], found[3]]
    assert comparable(found, "new") == []


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deep" / "votes.jsonl"


def vote(winner: str = "a", when: int = 5) -> votes.Vote:
    return votes.Vote(when=when, a="x", b="y", run_a="0" * 16, run_b="1" * 16, winner=winner)


def test_votes_are_appended_and_never_changed(file):
    for winner in ("a", "tie", "both-bad"):
        before = file.read_bytes() if file.exists() else b""
        votes.add(vote(winner), file)
        assert file.read_bytes().startswith(before)
    found, damaged = votes.read(file)
    assert ([v.winner for v in found], damaged) == (["a", "tie", "both-bad"], 0)
    assert votes.decided(found) == [("x", "y", "a"), ("x", "y", "tie")]


def test_damaged_lines_are_passed_over(file):
    votes.add(vote(), file)
    with open(file, "ab") as out:
        out.write(b"not json\n{}\n[1]\n" + b"[" * 9000 + b"\n")
    votes.add(vote("b"), file)
    found, damaged = votes.read(file)
    assert ([v.winner for v in found], damaged) == (["a", "b"], 4)


def test_a_vote_is_read_once(file, monkeypatch):
    """A file of many votes is not gone through anew for every visitor who votes."""
    read, real = [], votes.codecs.parse_json

    def parse(line, *rest):
        read.append(line)
        return real(line, *rest)

    monkeypatch.setattr(votes.codecs, "parse_json", parse)
    for number in range(1, 4):
        votes.add(vote(when=number), file)
        found, _ = votes.read(file)
        found.clear()  # who asked may do with it what it likes
        assert [v.when for v in votes.read(file)[0]] == list(range(1, number + 1))
    assert len(read) == 3
    with open(file, "ab") as out:  # half a line is no vote, and then it is one
        out.write(votes.codecs.canonical(vote(when=4).model_dump(mode="json")).encode()[:9])
    assert (len(votes.read(file)[0]), votes.read(file)[1]) == (3, 1)
    with open(file, "ab") as out:
        out.write(votes.codecs.canonical(vote(when=4).model_dump(mode="json")).encode()[9:] + b"\n")
    assert [v.when for v in votes.read(file)[0]] == [1, 2, 3, 4]
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])  # its owner cut it
    assert [v.when for v in votes.read(file)[0]] == [1]
    file.unlink()
    assert votes.read(file) == ([], 0)


def test_a_full_file_takes_no_more(file, monkeypatch):
    votes.add(vote(), file)
    monkeypatch.setattr(votes, "MAX_FILE", file.stat().st_size)
    with pytest.raises(VarSpacesError, match="full"):
        votes.add(vote(), file)
    assert len(votes.read(file)[0]) == 1


def test_pairs_meet_equally_often(use_tiny_models):
    found: list[votes.Vote] = []
    dice = random.Random(3)
    names = battle.contestants(SPEC)
    pairs = len(names) * (len(names) - 1) // 2
    assert pairs >= 3
    for when in range(2 * pairs):
        found.append(battle.next_battle(SPEC, found, dice).vote("a", when))
    assert set(Counter(frozenset((v.a, v.b)) for v in found).values()) == {2}


def test_both_sides_draw_the_same_thing(use_tiny_models):
    first, second = battle.next_battle(SPEC, []).runs
    same = ("model", "task", "inputs", "seed", "count", "first", "sampling")
    assert all(getattr(first, name) == getattr(second, name) for name in same)
    assert first != second


def test_a_vote_names_the_run_of_each_side():
    runs = SPEC, SPEC.replace(seed=5)
    vote = Battle("x", "y", runs).vote("a", 5)
    assert (vote.a, vote.run_a) == ("x", runs[0].id)
    assert (vote.b, vote.run_b) == ("y", runs[1].id)


def test_sides_of_a_battle_are_drawn(monkeypatch):
    """Nobody learns that the left one is always the same."""
    known = {"x": SPEC, "y": SPEC.replace(seed=5)}
    monkeypatch.setattr(battle, "contestants", lambda base: known)
    found = [next_battle(SPEC, [], random.Random(seed)) for seed in range(20)]
    assert {one.a for one in found} == {"x", "y"}
    assert all(one.runs == (known[one.a], known[one.b]) for one in found)


def test_ties_are_half_a_win_for_both():
    ranks = ranking({("x", "y", "tie"): 9}, rounds=2)
    assert [rank.points for rank in ranks] == pytest.approx([1000, 1000])
    one = ranking({("x", "y", "tie"): 3, ("x", "y", "a"): 4}, rounds=2)
    other = ranking({("y", "x", "tie"): 3, ("y", "x", "b"): 4}, rounds=2)
    assert [rank.name for rank in one] == [rank.name for rank in other] == ["x", "y"]
    assert [rank.points for rank in one] == pytest.approx([rank.points for rank in other])
