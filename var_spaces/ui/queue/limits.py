"""What one visitor, and all of them together, may ask of this computer.

The owner sets the limits with environment variables; docs/deploy.md lists them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import TypeVar

from var_spaces.errors import VarSpacesError
from var_spaces.events import Started

Event = TypeVar("Event")

PREFIX = "VAR_SPACES_"
MIB = 2**20
TRAIN_VARIABLE = "VAR_SPACES_TRAIN_SECONDS"
TRAIN_SECONDS, LONGEST = 300, 86_400


def _limit(default: int, most: int, meaning: str) -> int:
    return field(default=default, metadata={"most": most, "meaning": meaning})


@dataclass(frozen=True)
class Limits:
    """Every field is set by the variable of its name: ``max_waiting`` by VAR_SPACES_MAX_WAITING."""

    max_waiting: int = _limit(32, 10_000, "runs that wait at once")
    max_waiting_each: int = _limit(3, 10_000, "of these, runs of one visitor, the active one too")
    max_waiting_address: int = _limit(8, 10_000, "of these, runs from one address")
    max_requests_address: int = _limit(32, 10_000, "all else that one address asks for at once")
    max_runs_per_hour: int = _limit(600, 10**9, "runs that start from one address in an hour")
    max_votes_per_hour: int = _limit(120, 10**9, "votes from one address in an hour")
    max_submissions_per_hour: int = _limit(12, 10**9, "submissions from one address in an hour")
    max_run_seconds: int = _limit(120, LONGEST, "time of a run, then it is stopped")
    max_upload_mb: int = _limit(20, 1000, "size of a file that is handed in")
    max_uploads_mb: int = _limit(2000, 10**6, "size of all uploads that are kept at once")
    max_downloads_mb: int = _limit(1000, 10**6, "size of all files that were made for visitors")
    max_uploads_mb_per_hour: int = _limit(400, 10**6, "size of files from one address in an hour")
    max_request_mb: int = _limit(4, 1000, "size of any other request")
    max_own_mb: int = _limit(1000, 10**6, "size of all models that visitors made or brought")

    @classmethod
    def from_environment(cls) -> Limits:
        """Read all variables; those that are not set keep their defaults.

        Raises:
            VarSpacesError: for a value that is no whole number from 1 to the most that is allowed.
        """
        return cls(**{item.name: _read(item) for item in fields(cls)})


def train_seconds() -> int:
    """Seconds that a visitor's training may take; 0 where there is none, as by default on ZeroGPU.

    Raises:
        VarSpacesError: for a value that is no whole number from 0 to a day.
    """
    text = os.environ.get(TRAIN_VARIABLE, "").strip()
    if not text:
        return 0 if "SPACES_ZERO_GPU" in os.environ else TRAIN_SECONDS
    if not (text.isascii() and text.isdecimal() and int(text) <= LONGEST):
        raise VarSpacesError(
            f"{TRAIN_VARIABLE} is '{text[:40]}': give a whole number of seconds from 0 (no "
            f"training) to {LONGEST}."
        )
    return int(text)


def in_time(events: Iterable[Event]) -> Iterator[Event]:
    """The same events, as long as the runs take no longer than one may.

    Waiting for a run to begin, for a model or in the line of an engine, is no time of the run; it
    has bounds of its own (``remote/patience.py``, ``remote/turns.py``).

    Args:
        events: of a run or of several, then perhaps in pairs after their numbers.

    Raises:
        VarSpacesError: in place of the first event that comes too late.
    """
    most = Limits.from_environment().max_run_seconds
    spent, before = 0.0, time.monotonic()
    for event in events:
        now = time.monotonic()
        if not isinstance(event[1] if isinstance(event, tuple) else event, Started):
            spent += now - before
        before = now
        if spent > most:
            raise VarSpacesError(
                f"The run was stopped after {most} seconds, the most that is allowed here: ask for "
                "fewer pictures or a smaller model."
            )
        yield event


def variable(name: str) -> str:
    """Environment variable of a limit."""
    return PREFIX + name.upper()


def _read(item: object) -> int:
    text = os.environ.get(variable(item.name), "").strip()
    most = item.metadata["most"]
    if not text:
        return item.default
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise VarSpacesError(
            f"{variable(item.name)} is '{text[:40]}': give a whole number from 1 to {most}."
        )
    return int(text)
