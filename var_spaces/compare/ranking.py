"""A ranking from pairwise votes: Bradley-Terry strengths with bootstrap intervals.

Bradley & Terry 1952; the fit is the minorisation of Hunter 2004 (Annals of Statistics 32, eq. 3). A
tie counts as half a win for each side. Strengths are shown on the scale of chess: 400 points are
odds of ten to one, and the mean of all is 1000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Winner = Literal["a", "b", "tie"]
SCORES = {"a": 1.0, "b": 0.0, "tie": 0.5}  # of the first
POINTS, MEAN = 400 / np.log(10), 1000.0
ROUNDS, SEED, LEVELS = 500, 95, (2.5, 97.5)
STEPS, TOLERANCE = 2000, 1e-9
PRIOR = 0.5  # a half-won vote against the average: keeps who never lost (or won) finite


@dataclass(frozen=True)
class Rank:
    """One row: points with a 95 % interval, over ``votes`` votes."""

    name: str
    points: float
    low: float
    high: float
    votes: int


def comparable(
    votes: Sequence[tuple[str, str, Winner]], name: str
) -> list[tuple[str, str, Winner]]:
    """Votes on whom ``name`` met, directly or through others; points of the rest say nothing beside
    its own."""
    known, size = {name}, 0
    while len(known) > size:
        size = len(known)
        for a, b, _ in votes:
            if a in known or b in known:
                known |= {a, b}
    return [vote for vote in votes if vote[0] in known]


def ranking(votes: Mapping[tuple[str, str, Winner], int], rounds: int = ROUNDS) -> list[Rank]:
    """Ranks of everyone who was voted on, best first.

    Args:
        votes: how often each vote was cast, at least once: name of a, name of b, and who won.
        rounds: resamples of the votes for the intervals.
    """
    if not votes:
        return []
    names = sorted({name for a, b, _ in votes for name in (a, b)})
    index = {name: i for i, name in enumerate(names)}
    kinds = sorted((index[a], index[b], SCORES[won], n) for (a, b, won), n in votes.items())
    first, second, score, counts = map(np.array, zip(*kinds, strict=True))
    points = strengths(first, second, score, len(names), counts)
    # As votes of a kind are alike, drawing votes with replacement is drawing how many of each.
    cast = counts.sum()
    samples = np.random.default_rng(SEED).multinomial(cast, counts / cast, rounds)
    spread = strengths(first, second, score, len(names), samples)
    low, high = np.percentile(spread, LEVELS, axis=0)
    played = np.bincount(
        np.concatenate([first, second]), np.concatenate([counts, counts]), minlength=len(names)
    )
    rows = zip(names, points, low, high, played, strict=True)
    return sorted(
        (Rank(name, *map(float, row[:3]), int(row[3])) for name, *row in rows),
        key=lambda rank: -rank.points,
    )


def strengths(
    first: np.ndarray, second: np.ndarray, score: np.ndarray, count: int, times: np.ndarray
) -> np.ndarray:
    """Points of ``count`` players, ``(..., count)``; all sets of votes are fitted at once.

    Args:
        first, second: players of every kind of vote, ``(K,)`` int.
        score: of the first, 1, 0.5 or 0.
        times: how often each kind was cast in a set, ``(..., K)``.
    """
    sets = times.reshape(-1, len(first)).astype(float)
    wins = np.full((len(sets), count), PRIOR)
    games = np.zeros((len(sets), count, count))
    for one, other, part in ((first, second, score), (second, first, 1 - score)):
        np.add.at(wins, (slice(None), one), sets * part)
        np.add.at(games, (slice(None), one, other), sets)
    fitted = np.ones_like(wins)
    left = np.arange(len(sets))  # sets that still move
    for _ in range(STEPS):
        strength = fitted[left]
        shares = games[left] / (strength[:, :, None] + strength[:, None, :])
        # the prior is 2 * PRIOR votes against a player of strength 1
        new = wins[left] / (shares.sum(axis=2) + 2 * PRIOR / (strength + 1))
        new /= np.exp(np.log(new).mean(axis=1, keepdims=True))
        fitted[left] = new
        left = left[np.abs(np.log(new / strength)).max(axis=1) >= TOLERANCE]
        if not len(left):
            break
    return (MEAN + POINTS * np.log(fitted)).reshape(*times.shape[:-1], count)
