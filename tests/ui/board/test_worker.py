"""The worker of the page: no submission waits for another one to come."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from filelock import FileLock

from leaderboard.store.folder import FolderBackend
from leaderboard.submissions import worker as worker_module
from var_spaces.ui.board import data

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
