"""The queue of submissions in a store: every change reads, decides and writes by compare and swap.

requests/<suite>/<id>.json               the request and its state
claims/<id>/result.json, samples.json    what a submitter measured and brought along
verdicts/<result>.json                   what verification found
"""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from leaderboard.entry import Entry
from leaderboard.result import Result, Samples, row_key
from leaderboard.runner.job import Job
from leaderboard.store import Store
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import FLAGGED, Verdict, path_of
from leaderboard.suites.base import get_suite
from var_spaces.errors import VarSpacesError

MOST_OPEN = 200  # requests that wait or run
MOST_OF_ONE = 5  # of one submitter
CLOCKS = 3600.0  # seconds by which two of them may differ
LEASE = 90.0  # seconds without a sign of life after which a request is free again
USUAL = 16 * 1024  # bytes of a request; larger ones are not kept in memory


class Queue:
    """Submissions and their states.

    Args:
        store: where they lie.
        clock: Unix time in seconds; replaced in tests.
        lease: seconds that a worker may be silent.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, lease: float = LEASE
    ) -> None:
        self.store, self.clock, self.lease = store, clock, lease

    # --- reading ------------------------------------------------------------------------------

    def requests(self) -> list[Request]:
        """All requests, oldest first; damaged files are left out."""
        at = self.store.backend.head()
        paths = self.store.backend.list("requests/", at)
        found = [(path, request) for path in paths if (request := self._read(path, at))]
        found.sort(key=lambda pair: (pair[1].created, _name(pair[0])))
        return [request for _, request in found]

    def _read(self, path: str, at: str | None = None) -> Request | None:
        """The request of a path, None if there is no sound one; see ``leaderboard.sound``."""
        backend = self.store.backend
        try:
            data = backend.read(path, backend.head() if at is None else at)
        except VarSpacesError:
            return None
        if data is None:
            return None
        return (_once if len(data) <= USUAL else _sound)(path, data)

    def get(self, id: str) -> Request:
        """One request.

        Raises:
            VarSpacesError: if there is none.
        """
        for path in self.store.list("requests/"):
            request = self._read(path) if path.endswith(f"/{id}.json") else None
            if request:
                return request
        raise VarSpacesError(f"There is no request '{id[:40]}': see the list of submissions.")

    def claim(self, request: Request) -> tuple[Result, Samples]:
        """The result that came with a request.

        Raises:
            VarSpacesError: if its files are missing or damaged.
        """
        result, samples = (
            self.store.read(f"claims/{request.id}/{name}.json") for name in ("result", "samples")
        )
        if result is None or samples is None:
            raise VarSpacesError(f"The result that came with request {request.id} is missing.")
        return Result.from_json(result), Samples.from_json(samples)

    def verdict(self, result: str) -> Verdict | None:
        """The verdict on a result, if there is a sound one."""
        try:
            data = self.store.read(path_of(result))
            verdict = None if data is None else Verdict.from_json(data)
        except VarSpacesError:
            return None
        return verdict if verdict is not None and verdict.result == result else None

    # --- submitting ---------------------------------------------------------------------------

    def submit(
        self,
        suite: str,
        entry: Entry,
        *,
        claim: tuple[Result, Samples] | None = None,
        submitter: str = "",
        note: str = "",
        rows: Sequence[dict[str, Any]] | None = None,
    ) -> Request:
        """Put a request into the queue.

        Args:
            claim: a result that was measured elsewhere, with its samples.
            rows: rows of the table, to refuse what is ranked already; None are the store's own.

        Raises:
            VarSpacesError: if it is a repetition, cannot run, or too much is waiting.
        """
        now = self.clock()
        claimed = claim[0].id if claim else ""
        request = Request.of(
            suite, entry, created=now, claim=claimed, submitter=submitter, note=note
        )
        if claim:
            _check_claim(request, *claim, now)
        job = Job(get_suite(suite), entry)
        _ = job.plans  # refuses what does not fit together
        key = "" if claim else _row_key(request, job)
        self._refuse_ranked(request, key, self.store.rows() if rows is None else rows)
        files = {}
        if claim:
            files = {
                f"claims/{request.id}/{name}.json": part.to_json().encode() + b"\n"
                for name, part in zip(("result", "samples"), claim, strict=True)
            }

        def changes(at: str) -> dict[str, bytes]:
            self._refuse_repeated(request, key)
            self._refuse_flood(request)
            return {request.path: _bytes(request), **files}

        self.store.transact(changes, f"Request {request.id}: {request.label}")
        return request

    def _refuse_ranked(self, request: Request, key: str, rows: Sequence[dict[str, Any]]) -> None:
        if request.claim:
            same = next((row for row in rows if row["id"] == request.claim), None)
        else:
            known = [row for row in rows if key and row["key"] == key]
            same = next((row for row in known if not self._is_flagged(row["id"])), None)
        if same:
            raise VarSpacesError(
                f"This is ranked already, as row {same['id'][:8]} of {same['created'][:10]}: "
                "change a parameter, or choose another suite."
            )

    def _is_flagged(self, result: str) -> bool:
        verdict = self.verdict(result)
        return verdict is not None and verdict.verdict == FLAGGED

    def _refuse_repeated(self, request: Request, key: str) -> None:
        """What is done may come again where the row that it would become is known and not there:
        the model has other weights since, or the row did not hold."""
        before = self._read(request.path)
        if before and (before.is_open or (before.state == "done" and not key)):
            told = f"it is {before.state}" if before.is_open else f"row {before.result[:8]}"
            raise VarSpacesError(f"This was submitted before, as request {before.id}: {told}.")

    def _refuse_flood(self, request: Request) -> None:
        waiting = [other for other in self.requests() if other.is_open]
        if len(waiting) >= MOST_OPEN:
            raise VarSpacesError(f"{len(waiting)} submissions are waiting: try again later.")
        own = [other for other in waiting if other.submitter == request.submitter]
        if request.submitter and len(own) >= MOST_OF_ONE:
            raise VarSpacesError(
                f"{len(own)} submissions of {request.submitter} are waiting; allowed are "
                f"{MOST_OF_ONE}: try again when one is done."
            )

    # --- working off --------------------------------------------------------------------------

    def take(self, worker: str, suites: Sequence[str] | None = None) -> Request | None:
        """Give the oldest free request to a worker; None if there is none.

        A request whose last attempt was lost becomes failed on the way.

        Args:
            suites: what the worker runs; None is everything.
        """

        def taken(request: Request) -> Request | None:
            now = self.clock()
            free = request.is_free(now, self.lease)
            return request.taken(worker, now, self.lease) if free else None

        for request in self.requests():
            wanted = suites is None or request.suite in suites
            if wanted and request.is_free(self.clock(), self.lease):
                after = self._change(request, taken)
                if after is not None and after.held_by(worker):
                    return after
        return None

    def beat(self, request: Request, worker: str, progress: str) -> bool:
        """A sign of life; False if the request is no longer the worker's."""
        return self._held(request, worker, lambda r: r.alive(self.clock(), self.lease, progress))

    def again(self, request: Request, worker: str, reason: str) -> bool:
        """Give it back after an attempt that went wrong."""
        return self._held(request, worker, lambda r: r.again(reason, self.clock()))

    def fail(self, request: Request, worker: str, reason: str) -> bool:
        """End it: another attempt would fail alike."""
        return self._held(request, worker, lambda r: r.failed(reason, self.clock()))

    def finish(self, request: Request, worker: str, verdict: Verdict) -> bool:
        """End it with the verdict on its result, which is in the store already."""

        def done(held: Request) -> Request:
            return held.finished(verdict.result, verdict.verdict, verdict.reason, self.clock())

        return self._held(request, worker, done, verdict.file)

    def _held(
        self,
        request: Request,
        worker: str,
        change: Callable[[Request], Request],
        files: dict[str, bytes] | None = None,
    ) -> bool:
        after = self._change(
            request, lambda r: change(r) if r.held_by(worker) else None, files or {}
        )
        return after is not None

    def _change(
        self,
        request: Request,
        change: Callable[[Request], Request | None],
        files: dict[str, bytes] | None = None,
    ) -> Request | None:
        """Apply a change to the request as it is now, with other files; None if it did not fit."""
        held: dict[str, Request | None] = {}

        def changes(at: str) -> dict[str, bytes]:
            now = self._read(request.path, at)
            after = held["after"] = change(now) if now else None
            return {} if after is None else {request.path: _bytes(after), **(files or {})}

        self.store.transact(changes, f"Request {request.id}")
        return held["after"]


def _name(path: str) -> str:
    """Of a file: the id of a request, which takes long to work out from its content."""
    return path.rpartition("/")[2]


def _sound(path: str, data: bytes) -> Request | None:
    """The request that a file holds; None if it is damaged or under another name."""
    try:
        request = Request.from_json(data)
    except VarSpacesError:
        return None
    return request if request.path == path else None


@lru_cache(maxsize=8192)
def _once(path: str, data: bytes) -> Request | None:
    """Requests are frozen, so one that has not changed is parsed once: most of them are closed."""
    return _sound(path, data)


def _check_claim(request: Request, result: Result, samples: Samples, now: float) -> None:
    """Refuse a claim that contradicts itself or what is asked for, or was made in the future."""
    try:
        made = timegm(time.strptime(result.created, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        made = None
    if made is None or made > now + CLOCKS:
        raise VarSpacesError(f"The result is of {result.created}, which is no day that has been.")
    if (result.suite, result.protocol) != (request.suite, request.protocol):
        raise VarSpacesError(
            f"The result is of '{result.protocol}', but this program has '{request.protocol}': "
            "run the suite again with this version."
        )
    if samples.digest != result.samples_sha256:
        raise VarSpacesError("The samples are not those of the result: submit both files of a run.")


def _row_key(request: Request, job: Job) -> str:
    """Key of the row it would become; "" where weights are not known before they are loaded."""
    weights = {name: card.weights_sha256 for name, card in sorted(job.cards.items())}
    return row_key(request.protocol, request.entry, weights) if all(weights.values()) else ""


def _bytes(request: Request) -> bytes:
    return request.to_json().encode() + b"\n"
