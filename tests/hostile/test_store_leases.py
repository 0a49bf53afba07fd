"""Clocks that jump, a full disk, two servers on one store: nothing is lost or done twice."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leaderboard import sound
from leaderboard.store import Store, Unwritable
from leaderboard.store import folder as folder_module
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import Queue
from tests.hostile.stores import (
    REQUEST,
    RESULT,
    ROOT,
    lines,
    seen,
)
from tests.leaderboard.results import ENTRY, pair


@pytest.mark.parametrize("jump", [-86_400.0, -1e6, 1e6])
def test_no_lease_outlives_a_clock_that_jumps(folder, jump):
    now = [2_000_000.0]
    queue = Queue(Store(FolderBackend(folder)), clock=lambda: now[0], lease=60)
    assert queue.take("w1").held_by("w1")
    assert queue.take("w2") is None
    now[0] += jump
    assert queue.take("w2").held_by("w2")
    assert queue.take("w1") is None  # and the new one holds


def test_a_worker_keeps_its_request_when_the_clock_jumps(folder):
    now = [2_000_000.0]
    queue = Queue(Store(FolderBackend(folder)), clock=lambda: now[0], lease=60)
    request = queue.take("w1")
    now[0] -= 86_400
    assert queue.beat(request, "w1", "draw")
    assert queue.take("w2") is None


def test_a_full_disk_loses_nothing(folder, monkeypatch):
    """Each write in turn fails; the result is there whole or not at all, and the rest stays."""
    writers = {"_write_durably": folder_module, "write_bytes": Path}
    result, samples = pair(7)
    count = 0
    for name, owner in writers.items():
        for failing in range(10):
            copy = folder.parent / f"{name}-{failing}"
            shutil.copytree(folder, copy)
            calls, original = [0], getattr(owner, name)

            def write(path, data, calls=calls, failing=failing, original=original):
                calls[0] += 1
                if calls[0] > failing:  # full from here on
                    original(path, data[: len(data) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")
                return original(path, data)

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, write)
                try:
                    Store(FolderBackend(copy)).add(result, samples)
                    break  # all writes were allowed
                except Unwritable as error:
                    assert "No space left" in str(error)
                    count += 1
                seen(copy)
            store = Store(FolderBackend(copy))  # there is room again
            assert store.add(result, samples) in (True, False)
            assert {row["id"] for row in store.rows()} == {RESULT.id, result.id}
            assert store.samples(result) == samples
            assert sound.problems(store) == []
    assert count >= 6


def test_a_worker_survives_a_full_disk(folder, monkeypatch):
    """The request is not lost: it waits for the next worker."""
    from leaderboard.submissions import worker as module

    def full(*_args, **_more):
        raise Unwritable("Cannot write: No space left on device.")

    now = [2_000_000.0]
    queue = Queue(Store(FolderBackend(folder)), clock=lambda: now[0], lease=60)
    monkeypatch.setattr(module.Worker, "_obtain", full)
    worker = module.Worker(queue, name="w")
    with monkeypatch.context() as patch:
        patch.setattr(queue, "again", full)
        worker.once()
    assert queue.get(REQUEST.id).state == "running"  # nothing could be written down
    now[0] += 61
    worker.once()
    after = queue.get(REQUEST.id)
    assert after.state == "queued" and "No space left" in after.reason


SERVER = """
import sys
from leaderboard.store import open_store
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source
from tests.leaderboard.results import ENTRY, pair
place, name = sys.argv[1:]
queue = Queue(open_store(place))
while (request := queue.take(name)) is not None:
    result, samples = pair(int(request.note), note=request.note)
    queue.store.add(result, samples)
    verdict = Verdict(result=result.id, verdict="verified", images=(0,), equal_tokens=1,
                      equal_pixels=1, created="2026-01-01T00:00:00Z", worker=name)
    assert queue.finish(request, name, verdict)
    Source.of([queue.store])
"""


def test_two_servers_on_one_store(folder):
    store = Store(FolderBackend(folder))
    store.update(REQUEST.path, lambda _: None, "keep")
    for number in range(10, 18):
        entry = {**ENTRY, "model": f"m{number}"}
        request = REQUEST.model_copy(update={"entry": entry, "note": str(number)})
        text = request.to_json().encode()
        store.update(request.path, lambda _, text=text: text, "submit")
    store.update(REQUEST.path, lambda _: b"{}", "a damaged one among them")
    command = [sys.executable, "-c", SERVER, str(folder)]
    servers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("a", "b")]
    assert [server.wait(timeout=120) for server in servers] == [0, 0]
    done = Queue(store).requests()
    assert [request.state for request in done] == ["done"] * 8
    assert [request.attempts for request in done] == [1] * 8  # each was run once
    assert len(store.rows()) == 9
    assert len(lines(folder)) == 9
    assert [line.split(":")[0] for line in sound.problems(store)] == [REQUEST.path]
