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
from tests.leaderboard.claims import entry
from var_spaces.ui import app
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


def test_a_page_that_starts_resumes_what_was_left_behind(left_behind):
    """Without anybody who looks, and what died with the page before it as soon as it is free."""
    left_behind.queue.take("the page before")
    rests = []

    def wait(seconds):
        rests.append(seconds)
        left_behind.clocks.now += seconds
        if left_behind.started and left_behind.queue.take("here"):
            left_behind.queue.fail(left_behind.request, "here", "done")

    data.take_up(wait)
    assert len(left_behind.started) == 1
    assert sum(rests) >= LEASE and set(rests) == {data.REST}


def test_a_page_that_does_not_work_or_cannot_read_leaves_them(left_behind, monkeypatch, caplog):
    monkeypatch.setenv(data.WORKER_VARIABLE, "off")
    data.take_up(None)
    monkeypatch.setenv(data.WORKER_VARIABLE, "on")

    def out_of_reach():
        raise OutOfReach("No store.")

    monkeypatch.setattr(left_behind.store.backend, "head", out_of_reach)
    data.take_up(None)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["Submissions cannot be resumed: No store."]
    assert left_behind.started == []


def test_a_page_resumes_only_once_it_is_served(monkeypatch):
    order, resumed = [], threading.Event()
    page = SimpleNamespace(
        launch=lambda **options: order.append(options["prevent_thread_lock"]),
        block_thread=lambda: resumed.wait(60),
    )
    for name, put in {
        "build_app": lambda: page,
        "launch_options": dict,
        "warm_up": lambda: None,
        "signal": lambda *_: None,
        "take_up": lambda: (order.append("resumed"), resumed.set()),
    }.items():
        monkeypatch.setattr(app, name, put)
    monkeypatch.setattr(app.cpu, "share_cores", lambda: None)
    app.main([])
    assert order == [True, "resumed"] and resumed.is_set()


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
