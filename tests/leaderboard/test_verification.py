"""What a verification looks at: claims that hold, and those that were changed."""

from __future__ import annotations

import random

import pytest

from leaderboard.store import OutOfReach
from leaderboard.submissions.verify import verify
from leaderboard.submissions.worker import Worker
from leaderboard.table.board import Source, build
from leaderboard.table.view import View
from tests.leaderboard.claims import entry, forging, psnr_of, save, tampered, with_score
from var_spaces.errors import VarSpacesError

pytestmark = pytest.mark.usefixtures("use_tiny_models")


def test_a_true_claim_is_verified(queue, measured):
    request = queue.submit("tiny", entry(), claim=measured)
    Worker(queue, name="w", probe=100).once()
    assert queue.get(request.id).verdict == "verified"
    assert queue.verdict(measured[0].id).unchecked == ()  # all images were drawn again
    with pytest.raises(VarSpacesError, match="ranked already"):
        queue.submit("tiny", entry(), claim=measured)


def test_a_tampered_claim_is_flagged(queue, measured):
    claim = tampered(measured, metric="psnr")
    request = queue.submit("tiny", entry(), claim=claim)
    Worker(queue, name="w", probe=2).once()
    after = queue.get(request.id)
    assert after.verdict == "mismatch" and "its samples give" in after.reason


def test_a_row_comes_with_its_verdict(queue, measured, monkeypatch):
    """A worker that is lost between the row and the end of its request leaves none unflagged."""
    queue.submit("tiny", entry(), claim=tampered(measured, metric="psnr"))

    def unreachable(*_):
        raise OutOfReach("no answer")

    monkeypatch.setattr(queue, "finish", unreachable)
    Worker(queue, name="w", probe=2).once()
    (line,) = build(Source.of([queue.store]), View()).lines
    assert (line.verdict, line.rank) == ("mismatch", None)


def test_samples_that_were_changed_too(measured):
    """Values and score agree with each other, but not with what the model draws."""
    result, samples = measured
    name = next(score.metric for score in result.scores if score.metric.startswith("psnr"))
    result, forged = forging(measured, {name: tuple(v + 1 for v in samples.values[name])})
    verdict = verify(result, forged, images=2)
    assert verdict.verdict == "mismatch" and "the result says" in verdict.reason


def test_a_score_without_its_numbers_is_not_believed(measured):
    result, samples = measured
    score, _ = psnr_of(measured)
    left = {name: v for name, v in samples.values.items() if name != score.metric}
    bare = samples.model_copy(update={"values": left})
    result, _ = with_score((result, bare), score, value=98.0)
    result = result.model_copy(update={"samples_sha256": bare.digest})
    verdict = verify(result, bare, images=2)
    assert verdict.verdict == "mismatch" and "without its numbers" in verdict.reason


def test_a_score_that_is_left_out_is_missed(measured):
    """A claim that tells only what looks good tells less than the suite."""
    result, samples = measured
    score, _ = psnr_of(measured)
    left = tuple(s for s in result.scores if s.metric != score.metric)
    values = {name: v for name, v in samples.values.items() if name != score.metric}
    bare = samples.model_copy(update={"values": values})
    hidden = result.model_copy(update={"scores": left, "samples_sha256": bare.digest})
    verdict = verify(hidden, bare, images=2)
    assert (verdict.verdict, verdict.reason) == ("mismatch", f"'{score.title}' is left out")


def test_a_score_comes_once_and_is_called_what_it_is(measured):
    score, _ = psnr_of(measured)
    twice = with_score(measured, score, score.model_copy(update={"value": 98.0}))
    assert "comes twice" in verify(*twice, images=2).reason
    own = score.model_copy(update={"metric": "mine@1 N=8"})
    assert "no number of the suite" in verify(*with_score(measured, score, own), images=2).reason
    for changes in ({"better": "lower"}, {"title": "Best of all"}, {"unit": "points"}):
        reason = verify(*with_score(measured, score, **changes), images=2).reason
        assert "another title, unit or direction" in reason
    assert "of 9 images" in verify(*with_score(measured, score, n=9), images=2).reason


def test_numbers_that_the_suite_does_not_have_are_refused(measured):
    score, values = psnr_of(measured)
    forged = forging(measured, {score.metric: values, "!first": tuple(range(len(values)))})
    assert "'!first' of its samples is no number" in verify(*forged, images=2).reason


def test_an_interval_follows_from_the_numbers(measured):
    score, _ = psnr_of(measured)
    narrow = with_score(measured, score, low=score.value - 1e-6, high=score.value + 1e-6)
    assert "interval" in verify(*narrow, images=2).reason


@pytest.mark.parametrize("seed", range(8))
def test_an_image_that_carries_the_whole_score_is_looked_at(measured, seed):
    score, values = psnr_of(measured)
    place = seed % len(values)
    forged = forging(measured, {score.metric: (*values[:place], 4480.0, *values[place + 1 :])})
    verdict = verify(*forged, images=4, lot=random.Random(seed))
    assert verdict.verdict == "mismatch"


def test_a_claim_says_nothing_of_how_far_it_may_be_off(measured):
    """Other tokens may have other numbers, as far as ours scatter."""
    score, values = psnr_of(measured)
    wild = tuple(v + 30 + 2000 * (-1) ** i for i, v in enumerate(values))
    forged = forging(measured, {score.metric: wild}, tokens=("0" * 16,) * len(values))
    assert verify(*forged, images=100).verdict == "mismatch"


def test_a_refused_claim_takes_no_place(queue, measured):
    """Neither by its time, nor by its key, nor by what it says of a column."""
    score, _ = psnr_of(measured)
    result, samples = measured
    queue.store.add(result, samples)
    save(queue.store, verify(result, samples, images=100))
    forged = with_score(measured, score, value=98.0, better="lower")[0]
    forged = forged.model_copy(update={"created": "2000-01-01T00:00:00Z"})
    late = forged.model_copy(update={"created": "2099-01-01T00:00:00Z"})
    for claim in (forged, late):
        queue.store.add(claim, samples)
        save(queue.store, verify(claim, samples, images=2))
    board = build(Source.of([queue.store]), View(verified=True))
    assert [line.id for line in board.lines] == [result.id]
    assert next(c for c in board.columns if c.metric == score.metric).better == "higher"
    future = result.model_copy(update={"created": "2999-01-01T00:00:00Z"})
    with pytest.raises(VarSpacesError, match="no day that has been"):
        queue.submit("tiny", entry(), claim=(future, samples))


def test_what_was_refused_may_be_measured(queue, measured):
    score, _ = psnr_of(measured)
    forged, samples = with_score(measured, score, value=98.0)
    queue.store.add(forged, samples)
    with pytest.raises(VarSpacesError, match="ranked already"):
        queue.submit("tiny", entry())
    save(queue.store, verify(forged, samples, images=2))
    assert queue.submit("tiny", entry()).is_open


def test_other_tokens_with_numbers_that_hold_are_consistent(measured):
    """As from another kind of device."""
    result, samples = measured
    other = samples.model_copy(update={"tokens": ("0" * 16, *samples.tokens[1:])})
    result = result.model_copy(update={"samples_sha256": other.digest})
    verdict = verify(result, other, images=100)
    assert verdict.verdict == "consistent" and verdict.equal_tokens == len(samples.tokens) - 1


def test_other_weights_are_a_mismatch(measured):
    result, samples = measured
    weights = dict.fromkeys(result.weights, "0" * 64)
    verdict = verify(result.model_copy(update={"weights": weights}), samples, images=2)
    assert verdict.verdict == "mismatch" and "other weights" in verdict.reason


def test_what_no_commit_holds_is_never_verified(measured):
    result, samples = measured
    where = result.environment.model_copy(update={"commit": "a" * 40 + "-dirty-01234567"})
    verdict = verify(result.model_copy(update={"environment": where}), samples, images=100)
    assert verdict.verdict == "consistent" and "no commit holds" in verdict.reason
    assert verdict.equal_tokens == len(samples.tokens)
