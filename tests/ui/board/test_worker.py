"""The worker of the page: no submission waits for another one to come."""

from __future__ import annotations

import threading

from leaderboard.submissions import worker as worker_module
from var_spaces.ui.board import data


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
                data.ensure_worker(None)
            else:
                ended.set()
            return None

    monkeypatch.setattr(worker_module, "Worker", Worker)
    data.ensure_worker(None)
    assert ended.wait(60)
    assert done == ["first", "second"]
    worker = data._worker
    if worker is not None:
        worker.join(60)
    assert data._worker is None
    waiting.append("third")
    ended.clear()
    data.ensure_worker(None)
    assert ended.wait(60)
    assert done[2] == "third"
