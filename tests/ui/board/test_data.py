"""What the leaderboard tab reads is read once for all who look."""

from __future__ import annotations

from leaderboard.entry import Entry
from leaderboard.store import open_store
from leaderboard.submissions.queue import Queue
from var_spaces.ui.board import data


def test_submissions_are_read_again_when_something_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_LEADERBOARD", str(tmp_path))
    read = []
    whole = Queue.requests
    monkeypatch.setattr(Queue, "requests", lambda queue: read.append(1) or whole(queue))
    queue = Queue(open_store())
    assert data.newest() == data.newest() == ()
    assert len(read) == 1
    request = queue.submit("smoke", Entry.of("var-small"))
    before = len(read)
    assert [data.newest() for _ in range(3)] == [(request,)] * 3
    assert len(read) == before + 1
