"""What the leaderboard tab reads is read once for all who look."""

from __future__ import annotations

import pytest

from leaderboard.store import Store
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import Queue
from tests.leaderboard.test_submissions import entry
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
