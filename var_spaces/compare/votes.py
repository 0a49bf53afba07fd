"""Votes of blind battles: one JSON line each, appended and never changed.

The file is ``VAR_SPACES_VOTES``, else ``votes.jsonl`` in the user's data folder; a Space mounts a
volume there or its votes end with it. Lines that are no votes are passed over and counted.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, BinaryIO, Literal

from pydantic import Field

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.paths import expanded
from var_spaces.validation import FrozenModel

VARIABLE = "VAR_SPACES_VOTES"
MAX_LINE = 4096
MAX_FILE = 64 * 1024 * 1024
Name = Annotated[str, Field(min_length=1, max_length=120)]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]

_lock = Lock()


class Vote(FrozenModel):
    """One vote.

    ``both-bad`` says nothing about who is better and stays out of the ranking.
    """

    version: Literal[1] = 1
    when: int = Field(ge=0, description="seconds since 1970")
    a: Name
    b: Name
    run_a: RunId = Field(description="id of the run spec")
    run_b: RunId = Field(description="id of the run spec")
    winner: Literal["a", "b", "tie", "both-bad"]

    @classmethod
    def described_as(cls) -> str:
        return "vote"


def place() -> Path:
    """The file of the votes.

    Raises:
        VarSpacesError: if it is in a home folder and there is none.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return expanded(given)
    data = os.environ.get("XDG_DATA_HOME") or expanded("~/.local/share")
    return Path(data) / "var-spaces" / "votes.jsonl"


def add(vote: Vote, path: Path | None = None) -> None:
    """Append a vote; a line is written whole and is on the disk, or nothing of it is.

    Raises:
        VarSpacesError: if the file cannot be written or is full.
    """
    path = path or place()
    line = (codecs.canonical(vote.model_dump(mode="json")) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock, open(path, "a+b", buffering=0) as file, _alone(file):
            _append(file, line)
    except OSError as error:
        raise VarSpacesError(f"The vote cannot be kept: {error.strerror}.") from None


def _append(file: BinaryIO, line: bytes) -> None:
    end = file.seek(0, os.SEEK_END)
    if end + len(line) > MAX_FILE:
        raise VarSpacesError("The file of votes is full.")
    if end and _last(file, end) != b"\n":  # another program was cut off in the middle of a line
        line = b"\n" + line
    try:
        if file.write(line) != len(line):  # a disk that becomes full takes a part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            file.truncate(end)
        raise


def _last(file: BinaryIO, end: int) -> bytes:
    file.seek(end - 1)
    return file.read(1)


@contextmanager
def _alone(file: BinaryIO) -> Iterator[None]:
    """No other process that votes through this module writes meanwhile, where that can be said."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    yield  # closing the file gives it free


@dataclass
class _Known:
    """What a file held when it was read last: its whole lines up to ``end``."""

    file: tuple[Path, int, int]
    end: int = 0
    votes: list[Vote] = field(default_factory=list)
    damaged: int = 0

    def take(self, lines: bytes) -> None:
        self.end += len(lines)
        for line in lines.splitlines():
            try:
                self.votes.append(Vote(**codecs.parse_json(line, "A vote", MAX_LINE)))
            except (TypeError, VarSpacesError):
                self.damaged += 1


_known: _Known | None = None


def read(path: Path | None = None) -> tuple[list[Vote], int]:
    """All votes in order, and how many lines are none.

    What was appended since the last call is read, nothing else: a vote stays as it is.
    """
    global _known
    path = path or place()
    try:
        with _lock, open(path, "rb") as file:
            found = os.fstat(file.fileno())
            same = (path, found.st_dev, found.st_ino)
            if _known is None or _known.file != same or found.st_size < _known.end:
                _known = _Known(same)
            file.seek(_known.end)
            new = file.read(MAX_FILE - _known.end)
            whole = new.rfind(b"\n") + 1
            _known.take(new[:whole])
            known = _Known(same, votes=list(_known.votes), damaged=_known.damaged)
        known.take(new[whole:])  # another program may be in the middle of a line
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise VarSpacesError(f"The votes cannot be read: {error.strerror}.") from None
    return known.votes, known.damaged


def now() -> int:
    return int(time.time())


def decided(votes: Sequence[Vote]) -> list[tuple[str, str, str]]:
    """Votes that say who is better; how often each was cast is what
    :func:`var_spaces.compare.ranking.ranking` ranks by."""
    return [(vote.a, vote.b, vote.winner) for vote in votes if vote.winner != "both-bad"]
