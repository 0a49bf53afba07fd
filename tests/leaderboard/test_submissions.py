"""Submissions: states, leases, repetitions, verification; nothing is left behind."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.entry import Entry
from leaderboard.runner.finish import named
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.store import OutOfReach, Store
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions import worker as worker_module
from leaderboard.submissions.queue import MOST_OF_ONE, Queue
from leaderboard.submissions.request import ATTEMPTS, Request
from leaderboard.submissions.verify import verify
from leaderboard.submissions.worker import Pulse, Worker
from leaderboard.table.board import Source, build
from leaderboard.table.view import View
from tests.leaderboard.results import ENTRY
from tests.leaderboard.suite import TinySuite
from var_spaces.errors import VarSpacesError

pytestmark = pytest.mark.usefixtures("use_tiny_models")


class Clock:
    now = 4_000_000_000.0  # after whatever these tests measure

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(tmp_path, clock):
    return Queue(Store(FolderBackend(tmp_path / "store")), clock=clock, lease=60)


def entry(budget: float = 0.2) -> Entry:
    return Entry.of("tiny-var", cache={"name": "sliding-window", "budget": budget})


@pytest.fixture(scope="module")
def measured(tiny_models, tmp_path_factory):
    """A true result of the tiny suite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(tiny_models))
        return run(Job(TinySuite(), entry(), 2, tmp_path_factory.mktemp("work")))


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


# --- states ---------------------------------------------------------------------------------------


def test_a_request_waits_and_is_taken_once(queue):
    request = queue.submit("tiny", entry(), submitter="ada")
    assert [r.state for r in queue.requests()] == ["queued"]
    taken = queue.take("w1")
    assert taken.id == request.id and taken.attempts == 1
    assert queue.take("w2") is None
    assert queue.beat(request, "w1", "draw: 1/2") and not queue.beat(request, "w2", "mine")
    assert queue.get(request.id).lease.progress == "draw: 1/2"


def test_a_silent_worker_loses_its_request(queue, clock):
    request = queue.submit("tiny", entry())
    queue.take("w1")
    clock.now += 59
    assert queue.take("w2") is None
    assert queue.beat(request, "w1", "")
    clock.now += 61
    assert queue.take("w2").held_by("w2")
    assert not queue.beat(request, "w1", "") and not queue.fail(request, "w1", "late")


def test_nothing_stays_pending(queue, clock):
    """A request whose workers all die ends as failed, with the reason."""
    request = queue.submit("tiny", entry())
    for attempt in range(1, ATTEMPTS + 1):
        assert queue.take(f"w{attempt}").attempts == attempt
        clock.now += 61
    assert queue.take("w9") is None
    after = queue.get(request.id)
    assert after.state == "failed" and "in time" in after.reason
    assert any("no sign of life from w3" in line for line in after.log)


@given(st.lists(st.sampled_from(["take", "beat", "again", "fail", "late"]), max_size=30))
def test_states_follow_the_picture(actions):
    now, request = 0.0, Request(
        suite="tiny", protocol="p", entry=ENTRY, created=0.0
    )  # fmt: skip
    for action in actions:
        before = request
        if action == "late":
            now += 1000
        elif action == "take" and request.is_free(now, 10):
            request = request.taken("w", now, 10)
        elif request.held_by("w"):
            if action == "beat":
                request = request.alive(now, 10, "")
            elif action == "again":
                request = request.again("why", now)
            elif action == "fail":
                request = request.failed("why", now)
        assert request.attempts <= ATTEMPTS
        assert (request.lease is not None) == (request.state == "running")
        assert request.state != "failed" or request.reason
        if before.state in ("done", "failed"):
            assert request == before
        assert Request.from_json(request.to_json()) == request
        assert request.id == before.id


def test_repetitions_are_refused(queue, measured):
    request = queue.submit("tiny", entry())
    with pytest.raises(VarSpacesError, match=f"submitted before, as request {request.id}"):
        queue.submit("tiny", entry())
    queue.take("w")
    queue.fail(request, "w", "no luck")
    assert queue.submit("tiny", entry()).attempts == 0  # after a failure it may be tried again
    queue.store.add(*measured)
    queue.take("w")
    queue.fail(request, "w", "no luck")
    with pytest.raises(VarSpacesError, match="ranked already"):
        queue.submit("tiny", entry())


def test_a_model_with_other_weights_is_measured_again(queue, measured, tmp_path):
    """The id of a request knows no weights; the row that was made of it does."""
    result, samples = measured
    old = result.model_copy(update={"weights": dict.fromkeys(result.weights, "b" * 64)})
    request = queue.submit("tiny", entry())
    queue.take("w")
    queue.store.add(old, samples)
    stamp = verify(result, samples, images=100).model_copy(update={"result": old.id})
    assert queue.finish(request, "w", stamp)
    assert queue.get(request.id).state == "done"
    again = queue.submit("tiny", entry())
    assert (again.id, queue.get(again.id).state) == (request.id, "queued")
    with pytest.raises(VarSpacesError, match="it is queued"):
        queue.submit("tiny", entry())
    Worker(queue, name="w", probe=4, work=tmp_path / "work").once()
    assert queue.get(again.id).result != old.id and len(queue.store.rows()) == 2
    with pytest.raises(VarSpacesError, match="ranked already"):
        queue.submit("tiny", entry())


def test_nobody_fills_the_queue(queue):
    for number in range(MOST_OF_ONE):
        queue.submit("tiny", entry(0.1 + number / 10), submitter="ada")
    with pytest.raises(VarSpacesError, match="of ada are waiting"):
        queue.submit("tiny", entry(0.9), submitter="ada")
    queue.submit("tiny", entry(0.9), submitter="bob")


def test_who_says_no_name_is_nobody_in_particular(queue):
    for number in range(MOST_OF_ONE + 1):
        queue.submit("tiny", entry(0.1 + number / 10))


def test_what_cannot_run_is_refused_at_once(queue):
    with pytest.raises(VarSpacesError, match="tiny"):
        queue.submit("tinny", entry())
    with pytest.raises(VarSpacesError, match="budget"):
        queue.submit("tiny", entry(7))
    assert queue.requests() == []


def test_two_workers_lose_and_share_nothing(queue):
    for number in range(5):
        queue.submit("tiny", entry(0.1 + number / 10), submitter=str(number))
    taken: list[str] = []

    def work(name):
        while (request := queue.take(name)) is not None:
            taken.append(request.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(request.id for request in queue.requests())


# --- working off ----------------------------------------------------------------------------------


def test_from_request_to_verified_row(queue, tmp_path):
    request = queue.submit("tiny", entry(), submitter="ada")
    worker = Worker(queue, name="w", probe=4, work=tmp_path / "work")
    assert worker.once().id == request.id
    assert worker.once() is None
    after = queue.get(request.id)
    assert (after.state, after.verdict) == ("done", "verified"), after.log
    (row,) = queue.store.rows()
    assert row["id"] == after.result and row["submitter"] == "ada"
    verdict = queue.verdict(after.result)
    assert len(verdict.images) == verdict.equal_tokens == verdict.equal_pixels
    assert len(verdict.images) in (4, 8)  # by lot, and where a number is far from the middle


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


def save(store, verdict):
    store.transact(lambda at: {verdict.path: verdict.to_json().encode() + b"\n"}, "a verdict")


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


def test_an_attempt_that_breaks_is_tried_again_then_failed(queue, monkeypatch):
    def broken(*_args, **_more):
        raise MemoryError("no room")

    monkeypatch.setattr(worker_module, "run", broken)
    request = queue.submit("tiny", entry())
    worker = Worker(queue, name="w")
    for attempt in range(1, ATTEMPTS):
        worker.once()
        after = queue.get(request.id)
        assert (after.state, after.attempts) == ("queued", attempt)
    worker.once()
    after = queue.get(request.id)
    assert after.state == "failed" and "MemoryError: no room" in after.reason
    assert worker.once() is None


def test_a_refusal_is_not_tried_again(queue, monkeypatch):
    def refused(*_args, **_more):
        raise VarSpacesError("a file is missing:\nfetch it")

    monkeypatch.setattr(worker_module, "run", refused)
    request = queue.submit("tiny", entry())
    Worker(queue, name="w").once()
    after = queue.get(request.id)
    assert (after.state, after.attempts, after.reason) == (
        "failed",
        1,
        "a file is missing: fetch it",
    )


def test_an_attempt_has_an_end(queue, clock):
    request = queue.submit("tiny", entry())
    queue.take("w")
    pulse = Pulse(queue, request, "w", beat=0.001, timeout=5, clock=clock)
    pulse.progress("draw", 1, 2)
    clock.now += 6
    with pytest.raises(worker_module.OutOfTime):
        pulse.progress("draw", 2, 2)


def test_who_lost_the_lease_stops(queue, clock):
    request = queue.submit("tiny", entry())
    queue.take("w1")
    clock.now += 61
    queue.take("w2")
    with Pulse(queue, request, "w1", beat=0.001, timeout=1e9) as pulse:
        pulse.thread.join(10)
        with pytest.raises(worker_module.LeaseLost):
            pulse.progress("draw", 1, 2)
