"""What the leaderboard tab reads is read once for all who look."""

from __future__ import annotations

from threading import Semaphore, Thread

import pytest

from leaderboard.runner.job import Job
from leaderboard.store import Store
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from tests.leaderboard.claims import entry
from tests.leaderboard.results import pair
from tests.leaderboard.suite import TinySuite
from var_spaces.errors import VarSpacesError
from var_spaces.ui.board import data

pytestmark = pytest.mark.usefixtures("use_tiny_models")


def test_submissions_are_read_again_when_something_changed(tmp_path, monkeypatch):
    store = Store(FolderBackend(tmp_path))
    monkeypatch.setattr(data, "open_store", lambda: store)
    read = []
    whole = Queue.requests
    monkeypatch.setattr(Queue, "requests", lambda queue: read.append(1) or whole(queue))
    assert data.newest() == data.newest() == ()
    assert len(read) == 1
    request = Queue(store).submit("tiny", entry())
    before = len(read)
    assert [data.newest() for _ in range(3)] == [(request,)] * 3
    assert len(read) == before + 1


def test_the_board_is_read_once_for_all_who_wait_for_it(tmp_path, monkeypatch):
    """Eight visitors look after a change: one of them reads, the others get what it found."""
    monkeypatch.setenv("VAR_SPACES_LEADERBOARD", str(tmp_path))
    asked, read, found = Semaphore(0), [], []

    def reading(stores):
        read.append(stores)
        for _ in range(8):  # all of them want it, and none has it
            asked.acquire()
        return "board"

    def look():
        asked.release()
        found.append(data.source())

    monkeypatch.setattr(data.Source, "of", reading)
    threads = [Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(read), found) == (1, ["board"] * 8)


def test_closed_submissions_are_not_parsed_again(tmp_path, monkeypatch):
    """Each sign of life of a worker changes one file; there may be thousands of others."""
    queue = Queue(Store(FolderBackend(tmp_path)))
    closed = [queue.submit("tiny", entry(budget)) for budget in (0.2, 0.3, 0.4)]
    for request in closed:
        queue.take("w")
        queue.fail(request, "w", "no")
    running = queue.submit("tiny", entry(0.5))
    queue.take("w")
    assert len(queue.requests()) == 4
    parsed, heads = [], []
    real, head = Request.from_json, FolderBackend.head
    monkeypatch.setattr(
        Request, "from_json", classmethod(lambda _, data: parsed.append(data) or real(data))
    )
    monkeypatch.setattr(FolderBackend, "head", lambda backend: heads.append(1) or head(backend))
    assert queue.beat(running, "w", "draw: 1/2")
    parsed.clear()
    heads.clear()
    assert queue.get(running.id).lease.progress == "draw: 1/2"
    heads.clear()
    states = [request.state for request in queue.requests()]
    assert states == ["failed"] * 3 + ["running"]
    assert (len(parsed), len(heads)) == (1, 1)


def test_a_row_of_the_past_has_no_first_picture_here():
    """Another version of its suite, or other weights, draw another one."""
    suite, made = TinySuite(), entry()
    weights = {name: card.weights_sha256 for name, card in Job(suite, made).cards.items()}
    today = {"suite": "tiny", "protocol": suite.protocol, "weights": weights}
    today["entry"] = made.model_dump(mode="json")
    assert data.first_run(pair(**today)[0]).model == "tiny-var"
    for changes, why in (
        ({"protocol": "tiny v0 00000000"}, "it is of 'tiny v0"),
        ({"weights": dict.fromkeys(weights, "b" * 64)}, "other weights of"),
    ):
        with pytest.raises(VarSpacesError, match=why):
            data.first_run(pair(**{**today, **changes})[0])
