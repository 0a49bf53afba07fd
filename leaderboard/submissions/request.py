"""``Request``: one submission as a small JSON file, and the states it goes through.

    queued -> running -> done
       ^         |
       +---------+-> failed

A request names a registered suite and an entry (a model with registered methods); it never brings
code or weights. All functions here are pure: the same request in, a new one out.
"""

from __future__ import annotations

import hashlib
from time import gmtime, strftime
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from leaderboard.entry import Entry, label
from leaderboard.result import EntryJson, JsonFile, Short, built
from leaderboard.suites.base import get_suite
from var_spaces import codecs
from var_spaces.validation import FrozenModel

MAX_BYTES = 64 * 1024
ATTEMPTS = 3
EVENTS = 40  # newest lines of the log that are kept

State = Literal["queued", "running", "done", "failed"]
OPEN: tuple[State, ...] = ("queued", "running")


class Lease(FrozenModel):
    """A worker's right to a request; without a sign of life until ``until`` it is free again."""

    worker: str = Field(min_length=1, max_length=96)
    since: float = Field(ge=0, description="Unix time in seconds")
    until: float = Field(ge=0, description="Unix time in seconds")
    progress: str = Field("", max_length=120)


class Request(JsonFile):
    """A submission.

    Attributes:
        suite, protocol: what is to be run; another version of the suite refuses the request.
        entry: as JSON, complete.
        claim: id of a result that the submitter measured and brings along; "" if there is none.
        created: Unix time in seconds.
        attempts: how often a worker has begun.
        lease: of the worker that runs it now.
        result: id of the row, once there is one.
        verdict: of the verification, once there is one.
        reason: why it failed, or why the last attempt did.
        log: what happened, oldest first.
    """

    version: Literal[1] = 1
    suite: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    protocol: str = Field(max_length=120)
    entry: EntryJson
    claim: Short | Literal[""] = ""
    submitter: str = Field("", max_length=96)
    note: str = Field("", max_length=1000)
    created: float = Field(ge=0)
    state: State = "queued"
    attempts: int = Field(0, ge=0)
    lease: Annotated[Lease | None, built(Lease)] = None
    result: Short | Literal[""] = ""
    verdict: Literal["", "verified", "consistent", "mismatch"] = ""
    reason: str = Field("", max_length=500)
    log: tuple[str, ...] = ()

    @classmethod
    def described_as(cls) -> str:
        return "request"

    @classmethod
    def from_json(cls, text: str | bytes) -> Request:
        """Read untrusted JSON of at most 64 kB."""
        return cls.parse(text, MAX_BYTES)

    @classmethod
    def of(cls, suite: str, entry: Entry, *, created: float, **more: Any) -> Request:
        """A new request."""
        return cls(
            suite=suite,
            protocol=get_suite(suite).protocol,
            entry=entry.model_dump(mode="json"),
            created=created,
            log=(_line(created, "queued"),),
            **more,
        )

    @property
    def id(self) -> str:
        """16 hex digits that stand for what is asked: equal requests have equal ids."""
        asked = {"protocol": self.protocol, "entry": self.entry, "claim": self.claim}
        return hashlib.sha256(codecs.canonical(asked).encode()).hexdigest()[:16]

    @property
    def path(self) -> str:
        return f"requests/{self.suite}/{self.id}.json"

    @property
    def label(self) -> str:
        return f"{self.suite}: {label(self.entry)}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def is_free(self, now: float, seconds: float) -> bool:
        """Whether a worker may take it: it waits, or its worker gives no sign of life.

        Args:
            seconds: of a lease. One that ends much later than a new one would is of a clock that
                was put back since, and counts for nothing: a living worker soon renews it.
        """
        if self.state != "running":
            return self.state == "queued"
        return self.lease is None or not now <= self.lease.until <= now + 2 * seconds

    def held_by(self, worker: str) -> bool:
        return self.state == "running" and self.lease is not None and self.lease.worker == worker

    def taken(self, worker: str, now: float, seconds: float) -> Request:
        """Given to a worker, or failed if it was given too often already."""
        after = self
        if self.state == "running":
            lost = self.lease.worker if self.lease else "a worker"
            after = self._with(now, f"no sign of life from {lost}", lease=None)
        if after.attempts >= ATTEMPTS:
            why = after.reason or "no worker finished it in time"
            return after.failed(f"{why} ({ATTEMPTS} attempts)", now)
        lease = Lease(worker=worker, since=now, until=now + seconds)
        attempt = after.attempts + 1
        told = f"attempt {attempt} by {worker}"
        return after._with(now, told, state="running", attempts=attempt, lease=lease)

    def alive(self, now: float, seconds: float, progress: str) -> Request:
        """A sign of life of its worker."""
        lease = self.lease.model_copy(update={"until": now + seconds, "progress": progress[:120]})
        return self.model_copy(update={"lease": lease})

    def again(self, reason: str, now: float) -> Request:
        """Back in the queue after an attempt that went wrong; failed after the last one."""
        if self.attempts >= ATTEMPTS:
            return self.failed(f"{reason} ({ATTEMPTS} attempts)", now)
        return self._with(now, reason, state="queued", lease=None, reason=reason[:500])

    def failed(self, reason: str, now: float) -> Request:
        told = f"failed: {reason}"
        return self._with(now, told, state="failed", lease=None, reason=reason[:500])

    def finished(self, result: str, verdict: str, reason: str, now: float) -> Request:
        changes = {"result": result, "verdict": verdict, "reason": reason[:500], "lease": None}
        return self._with(now, f"{verdict}: result {result}", state="done", **changes)

    def _with(self, now: float, told: str, **changes: Any) -> Self:
        log = (*self.log, _line(now, told))[-EVENTS:]
        return self.model_copy(update={**changes, "log": log})


def _line(now: float, text: str) -> str:
    return f"{strftime('%Y-%m-%d %H:%M:%S', gmtime(now))} UTC  {text[:300]}"
