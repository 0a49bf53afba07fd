"""Submissions: states, leases, repetitions, a worker and its attempts; nothing is left behind."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.submissions import worker as worker_module
from leaderboard.submissions.queue import MOST_OF_ONE
from leaderboard.submissions.request import ATTEMPTS, Request
from leaderboard.submissions.verify import verify
from leaderboard.submissions.worker import Pulse, Worker
from tests.leaderboard.claims import entry
from tests.leaderboard.results import ENTRY
from var_spaces.errors import VarSpacesError

pytestmark = pytest.mark.usefixtures("use_tiny_models")

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
