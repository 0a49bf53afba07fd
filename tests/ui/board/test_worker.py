"""The worker of the page: no submission waits for another one to come."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from filelock import FileLock

from leaderboard.store import OutOfReach, Store
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions import worker as worker_module
from leaderboard.submissions.queue import LEASE, Queue
from tests.leaderboard.test_submissions import entry
from var_spaces.ui.board import data, tab

STORE = SimpleNamespace(backend=None)


def test_a_submission_that_comes_while_the_worker_ends_is_worked_off(monkeypatch):
    """It is looked for once more: the worker has just seen an empty queue, and still runs."""
    monkeypatch.setenv(data.WORKER_VARIABLE, "on")
    waiting, done, ended = ["first"], [], threading.Event()

    class Worker:
        def __init__(self, queue):
            pass

        def once(self):
            if waiting:
                done.append(waiting.pop())
                return done[-1]
            if len(done) == 1:
                waiting.append("second")
                data.ensure_worker(STORE)
            else:
                ended.set()
            return None

    monkeypatch.setattr(worker_module, "Worker", Worker)
    data.ensure_worker(STORE)
    assert ended.wait(60)
    assert done == ["first", "second"]
    worker = data._worker
    if worker is not None:
        worker.join(60)
    assert data._worker is None
    waiting.append("third")
    ended.clear()
    data.ensure_worker(STORE)
    assert ended.wait(60)
    assert done[2] == "third"


def test_two_processes_do_not_measure_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv(data.WORKER_VARIABLE, "on")
    backend = FolderBackend(tmp_path)
    happened, asked, ended = [], threading.Event(), threading.Event()

    class Asking(FileLock):
        def __enter__(self):
            asked.set()
            return super().__enter__()

    class Worker:
        def __init__(self, queue):
            pass

        def once(self):
            happened.append("measured here")
            ended.set()

    monkeypatch.setattr(data, "FileLock", Asking)
    monkeypatch.setattr(worker_module, "Worker", Worker)
    backend.hidden.mkdir(parents=True)
    with FileLock(backend.hidden / "worker"):  # as the other process has it
        data.ensure_worker(SimpleNamespace(backend=backend))
        assert asked.wait(60)
        happened.append("measured there")
    assert ended.wait(60)
    assert happened == ["measured there", "measured here"]
    worker = data._worker
    if worker is not None:
        worker.join(60)


class Clocks:
    """In the place of the module ``time``."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def left_behind(tmp_path, monkeypatch, use_tiny_models):
    """A store with a submission that nobody works on, and what workers are started on it."""
    monkeypatch.setenv(data.WORKER_VARIABLE, "on")
    store = Store(FolderBackend(tmp_path))
    clocks = Clocks(4_000_000_000.0)
    queue = Queue(store, clock=clocks.time)
    request = queue.submit("tiny", entry())
    started = []
    monkeypatch.setattr(data, "open_store", lambda: store)
    monkeypatch.setattr(data, "time", clocks)
    monkeypatch.setattr(data, "_resumed", float("-inf"))
    monkeypatch.setattr(data, "ensure_worker", started.append)
    return SimpleNamespace(
        store=store, clocks=clocks, queue=queue, request=request, started=started
    )


def test_what_a_restart_left_behind_goes_on_when_somebody_looks(left_behind):
    assert tab._listed()[1]
    assert left_behind.started == [left_behind.store]
    tab._listed()  # at once: the worker is only beginning
    assert len(left_behind.started) == 1
    left_behind.clocks.now += data.REST
    tab._listed()
    assert len(left_behind.started) == 2


def test_what_another_worker_runs_is_left_to_it_until_it_falls_silent(left_behind):
    left_behind.queue.take("elsewhere")
    assert data.resume() and left_behind.started == []
    left_behind.clocks.now += LEASE + 1
    assert data.resume() and len(left_behind.started) == 1


def test_nothing_goes_on_when_all_is_done(left_behind):
    left_behind.queue.take("elsewhere")
    left_behind.queue.fail(left_behind.request, "elsewhere", "no")
    left_behind.clocks.now += 10 * LEASE
    assert not data.resume() and left_behind.started == []


def test_a_store_out_of_reach_ends_the_worker_in_one_line(monkeypatch, caplog):
    class Worker:
        def __init__(self, queue):
            pass

        def once(self):
            raise OutOfReach("No room.")

    monkeypatch.setattr(worker_module, "Worker", Worker)
    monkeypatch.setattr(data, "_asked", True)
    data._work(STORE)
    assert [record.getMessage() for record in caplog.records] == [
        "Submissions cannot be worked off: No room."
    ]
    assert not any(record.exc_info for record in caplog.records)
