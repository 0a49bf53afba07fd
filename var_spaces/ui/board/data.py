"""What the leaderboard tab reads and writes; no gradio here.

Stores are read once and again when their head moves, however many visitors look.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock

from leaderboard.entry import Entry
from leaderboard.papers import paper_rows
from leaderboard.reproduction import Reproduced, reproduced
from leaderboard.result import Result
from leaderboard.sound import past
from leaderboard.store import Store, open_store, reading_stores
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import LEASE, Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.suites.base import get_suite
from leaderboard.table.board import Board, Source, build
from leaderboard.table.fitting import fitted
from leaderboard.table.view import View
from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.once import once

WORKER_VARIABLE = "VAR_SPACES_LEADERBOARD_WORKER"  # on, off; else on for a local folder
NEWEST = 30  # submissions that are listed
REST = 30.0  # seconds between two looks for what was left behind

log = logging.getLogger(__name__)

_lock = threading.Lock()
_worker: threading.Thread | None = None
_asked = False  # somebody wants the queue worked off, and the worker has not begun since
_resumed = float("-inf")  # when what was left behind was taken up last


def source() -> Source:
    """All rows and verdicts as they are now."""
    stores = reading_stores()
    return _read(tuple((str(store.backend), store.backend.head()) for store in stores))


@once(2)
def _read(_heads: tuple[tuple[str, str], ...]) -> Source:
    return Source.of(reading_stores())


def board(view: View) -> tuple[Board, View, str]:
    """What a view shows, what of the view that is, and a line if its protocol is another one; see
    :func:`leaderboard.table.fitting.fitted`."""
    rows = source()
    view, told = fitted(rows, view)
    return build(rows, view), view, told


def row(id: str) -> tuple[Result, Verdict | None]:
    """A result and the verdict on it.

    Raises:
        VarSpacesError: if there is no such result.
    """
    for store in reversed(reading_stores()):
        try:
            result = store.result(id)
        except VarSpacesError:
            continue
        return result, _verdict(id)
    raise VarSpacesError("This row is gone: reload the page.")


def _verdict(id: str) -> Verdict | None:
    found = (Queue(store).verdict(id) for store in reversed(reading_stores()))
    return next((verdict for verdict in found if verdict), None)


def first_run(result: Result) -> RunSpec:
    """The run that draws the first image of a row.

    Raises:
        VarSpacesError: if this program no longer has the suite, a method or the weights of the row,
            so that it would draw another image.
    """
    suite, reason = get_suite(result.suite), past(result)
    if reason:
        raise VarSpacesError(reason)
    item = suite.items()[0]
    return Entry(**result.entry).spec(
        suite.task, dict(item.inputs), seed=suite.seed, first=item.index, count=1
    )


def papers() -> tuple[Reproduced, ...]:
    """Every row of the papers beside ours, as the stores are now."""
    stores = reading_stores()
    return _papers(tuple((str(store.backend), store.backend.head()) for store in stores))


@once(1)
def _papers(_heads: tuple[tuple[str, str], ...]) -> tuple[Reproduced, ...]:
    rows = source().standing
    return tuple(reproduced(row, rows) for row in paper_rows().values())


def suites() -> list[tuple[str, str]]:
    """``(shown, name)`` of the suites that need no download, quickest first."""
    found = [get_suite(name) for name in methods.names("suite")]
    ready = sorted((s for s in found if not s.downloads), key=lambda suite: suite.minutes)
    return [(f"{suite.title} (about {suite.minutes:g} min)", suite.name) for suite in ready]


def submit(suite: str, entry: Entry, submitter: str) -> Request:
    """Put an entry into the queue of a suite.

    Raises:
        VarSpacesError: see ``Queue.submit``.
    """
    name = " ".join(submitter.split())
    queue = Queue(open_store())
    request = queue.submit(suite, entry, submitter=name, rows=source().rows)
    ensure_worker(queue.store)
    return request


def newest() -> tuple[Request, ...]:
    """The newest submissions, newest first."""
    return _requests(open_store())[::-1][:NEWEST]


def _requests(store: Store) -> tuple[Request, ...]:
    """All submissions, oldest first."""
    return _listed((str(store.backend), store.backend.head()))


@once(1)
def _listed(_head: tuple[str, str]) -> tuple[Request, ...]:
    return tuple(Queue(open_store()).requests())


def resume() -> bool:
    """Work off what was left behind: by a page that was started anew, or by a worker that died.

    Whoever looks at the submissions calls this, so it does no more than look at what is known. What
    a living worker runs is left to it; what fails at once is tried again after a rest.

    Returns:
        Whether any submission waits or runs.
    """
    store = open_store()
    waiting = [request for request in _requests(store) if request.is_open]
    if any(request.is_free(time.time(), LEASE) for request in waiting) and _rested():
        ensure_worker(store)
    return bool(waiting)


def take_up(wait: Callable[[float], None] = time.sleep) -> None:
    """Resume what an earlier page left behind, without anybody who looks; ends when nothing waits.

    A page that is started anew calls it once it is served. What that page's worker ran is free only
    after a while, so one look is not enough.

    Args:
        wait: for so many seconds until the next look; replaced in tests.
    """
    try:
        if works_here(open_store()):
            while resume():
                wait(REST)
    except (VarSpacesError, OSError) as error:  # out of reach: who looks at them tries again
        log.warning("Submissions cannot be resumed: %s", error)


def _rested() -> bool:
    """Whether it is time to look again for what was left behind; true once for each time."""
    global _resumed
    with _lock:
        now = time.monotonic()
        rested = now - _resumed >= REST
        if rested:
            _resumed = now
        return rested


def ensure_worker(store: Store) -> None:
    """Work off the queue in this process, if that is wanted; at most once."""
    global _worker, _asked
    if not works_here(store):
        return
    with _lock:
        _asked = True
        if _worker is None or not _worker.is_alive():
            _worker = threading.Thread(target=_work, args=(store,), daemon=True)
            _worker.start()


def works_here(store: Store) -> bool:
    """Whether this process is a worker: for local folders, unless told otherwise."""
    told = os.environ.get(WORKER_VARIABLE, "").lower()
    if told in ("on", "off"):
        return told == "on"
    return isinstance(store.backend, FolderBackend) and "SPACES_ZERO_GPU" not in os.environ


def _work(store: Store) -> None:
    """Until nothing is free; the next submission starts it again, and so does :func:`resume`."""
    from leaderboard.submissions.worker import Worker

    worker = Worker(Queue(store))
    try:
        with _alone(store):
            while _is_asked():
                while worker.once() is not None:
                    continue
    except (VarSpacesError, OSError) as error:  # the store is out of reach for now
        log.warning("Submissions cannot be worked off: %s", error)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """One worker on a local store, however many processes serve the page: runs that are measured
    beside each other would take each other's time. The others wait, and find what is left."""
    if not isinstance(store.backend, FolderBackend):
        yield
        return
    store.backend.hidden.mkdir(parents=True, exist_ok=True)
    with FileLock(store.backend.hidden / "worker"):
        yield


def _is_asked() -> bool:
    """Whether a submission came since this was last said; if not, the worker is gone from now on.

    One that comes while the worker finds the queue empty is seen here, all later ones start another
    worker.
    """
    global _worker, _asked
    with _lock:
        asked, _asked = _asked, False
        if not asked:
            _worker = None
        return asked
