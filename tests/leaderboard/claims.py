"""Requests of tests, and claims that are not what was measured."""

from __future__ import annotations

import numpy as np

from leaderboard.entry import Entry
from leaderboard.runner.finish import named
from leaderboard.runner.job import Job
from tests.leaderboard.suite import TinySuite


class Clock:
    now = 4_000_000_000.0  # after whatever these tests measure

    def __call__(self) -> float:
        return self.now


def entry(budget: float = 0.2) -> Entry:
    return Entry.of("tiny-var", cache={"name": "sliding-window", "budget": budget})


def tampered(measured, *, metric: str = "", **changes):
    """The result with another score, or with other fields."""
    result, samples = measured
    scores = tuple(
        score.model_copy(update={"value": score.value + 1})
        if score.metric.startswith(f"{metric}@")
        else score
        for score in result.scores
    )
    return result.model_copy(update={"scores": scores, **changes}), samples


def forging(measured, values, tokens=None):
    """A claim whose numbers per image, and everything that follows from them, are others."""
    result, samples = measured
    forged = samples.model_copy(
        update={"values": {**samples.values, **values}, "tokens": tokens or samples.tokens}
    )
    scored = Job(TinySuite(), Entry(**result.entry), result.batch).named
    scores = tuple(
        named(scored[s.metric], scored[s.metric].score(np.array(values[s.metric]), None), 8, None)
        if s.metric in values
        else s
        for s in result.scores
    )
    return result.model_copy(update={"scores": scores, "samples_sha256": forged.digest}), forged


def psnr_of(measured):
    result, samples = measured
    score = next(score for score in result.scores if score.metric.startswith("psnr"))
    return score, samples.values[score.metric]


def with_score(measured, score, *more, **changes):
    """The result with another score in place of the one of that metric, and more of them."""
    result, samples = measured
    changed = score.model_copy(update=changes)
    scores = tuple(changed if s.metric == score.metric else s for s in result.scores)
    return result.model_copy(update={"scores": (*scores, *more)}), samples


def save(store, verdict):
    store.transact(lambda at: {verdict.path: verdict.to_json().encode() + b"\n"}, "a verdict")
