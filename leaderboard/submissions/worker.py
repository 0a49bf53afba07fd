"""A worker: takes requests one by one, runs them, verifies the result, and gives signs of life.

Any number of workers may share a store. A worker that dies loses its lease and the request is given
to another; one that hangs loses it when its time is over.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from leaderboard.entry import Entry
from leaderboard.result import Result, Samples
from leaderboard.runner.job import WORK, Job
from leaderboard.runner.run import run
from leaderboard.store import OutOfReach
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verify import PROBE, verify
from leaderboard.suites.base import get_suite
from var_spaces.errors import VarSpacesError

TIMEOUT = 3600.0  # seconds for one attempt
BEAT = 15.0  # seconds between signs of life
PAUSE = 5.0  # seconds between looks at an empty queue

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The request belongs to another worker now."""


class OutOfTime(Exception):
    """An attempt took longer than allowed."""


class Worker:
    """Works off the queue of a store.

    Args:
        name: told in the request; None is host and process.
        device: where models run.
        suites: what it runs; None is everything.
        timeout: seconds for one attempt.
        beat: seconds between signs of life; well below the lease of the queue.
        probe: images that verification draws again by lot.
        work: folder of unfinished jobs.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        name: str | None = None,
        device: str | None = None,
        suites: Sequence[str] | None = None,
        timeout: float = TIMEOUT,
        beat: float = BEAT,
        probe: int = PROBE,
        work: Path = WORK,
    ) -> None:
        self.queue, self.device, self.suites = queue, device, suites
        self.name = name or f"worker-{secrets.token_hex(4)}"
        self.timeout, self.beat, self.probe, self.work = timeout, beat, probe, work

    def forever(self, stop: threading.Event, pause: float = PAUSE) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            try:
                found = self.once()
            except VarSpacesError as error:  # the store is out of reach for now
                log.warning("The queue cannot be read: %s", error)
                found = None
            if found is None:
                stop.wait(pause)

    def once(self) -> Request | None:
        """Work off the oldest free request; None if there is none.

        Returns:
            The request as it was taken.
        """
        request = self.queue.take(self.name, self.suites)
        if request is None:
            return None
        try:
            with Pulse(self.queue, request, self.name, self.beat, self.timeout) as pulse:
                self._work(request, pulse)
        except LeaseLost:
            pass
        except Exception as error:
            self._give_back(request, error)
        return request

    def _give_back(self, request: Request, error: Exception) -> None:
        """End the request if it would be refused again, else leave it to another attempt."""
        reason = " ".join(str(error).split())[:300]
        try:
            if isinstance(error, OutOfTime):
                self.queue.again(request, self.name, f"not done after {self.timeout:g} s")
            elif isinstance(error, VarSpacesError) and not isinstance(error, OutOfReach):
                self.queue.fail(request, self.name, reason)
            else:  # out of memory, a full disk, ...
                self.queue.again(request, self.name, f"{type(error).__name__}: {reason}")
        except OutOfReach:
            pass  # nothing can be written down: the lease runs out

    def _work(self, request: Request, pulse: Pulse) -> None:
        result, samples = self._obtain(request, pulse)
        verdict = verify(
            result,
            samples,
            images=self.probe,
            device=self.device,
            progress=pulse.progress,
            worker=self.name,
        )
        self.queue.store.add(result, samples, verdict.file)
        self.queue.finish(request, self.name, verdict)

    def _obtain(self, request: Request, pulse: Pulse) -> tuple[Result, Samples]:
        """The result that came along, or one that is made now."""
        suite = get_suite(request.suite)
        if suite.protocol != request.protocol:
            raise VarSpacesError(
                f"It asks for '{request.protocol}', this worker has '{suite.protocol}': "
                "submit it again."
            )
        if request.claim:
            return self.queue.claim(request)
        job = Job(suite, Entry(**request.entry), work=self.work)
        return run(
            job,
            device=self.device,
            progress=pulse.progress,
            submitter=request.submitter,
            note=request.note,
        )


class Pulse:
    """Signs of life of an attempt, from a thread of its own, until it ends or its time is over."""

    def __init__(
        self,
        queue: Queue,
        request: Request,
        worker: str,
        beat: float,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue, self.request, self.worker, self.beat = queue, request, worker, beat
        self.clock, self.deadline = clock, clock() + timeout
        self.told, self.lost = "", False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Pulse:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def progress(self, what: str, done: int, of: int) -> None:
        """Called by the runner after every batch; ends the attempt if it may not go on."""
        self.told = f"{what}: {done}/{of}"
        if self.lost:
            raise LeaseLost
        if self.clock() > self.deadline:
            raise OutOfTime

    def _go_on(self) -> None:
        while not self.ended.wait(self.beat) and self.clock() <= self.deadline:
            try:
                if not self.queue.beat(self.request, self.worker, self.told):
                    self.lost = True
                    return
            except Exception:  # whatever it was, the next sign may reach the store
                log.warning("No sign of life could be given.", exc_info=True)
