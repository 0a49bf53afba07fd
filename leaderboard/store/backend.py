"""What a store needs from the place where its files lie: read, list, and commit if nobody else did.

A commit changes several files at once, or none. It names the head it was computed from and is
refused if the head has moved meanwhile (compare and swap), so writers never overwrite each other.

A place may be a stranger's: no path of it leads out of it, no file of it is read without a limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from var_spaces.errors import VarSpacesError

Changes = Mapping[str, bytes | None]  # content by path; None deletes

PATH_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
MAX_PATH = 240
MAX_FILE = 64 * 1024 * 1024  # bytes


class Moved(Exception):
    """Another writer was first: read again, decide again, commit again."""


class OutOfReach(VarSpacesError):
    """The place gave no answer. Later it may."""


class Unwritable(OutOfReach):
    """The place did not take it: no room, no rights, no answer. Later it may."""


class Backend(Protocol):
    """A versioned set of small files."""

    def head(self) -> str:
        """Name of the present state; it changes with every commit."""
        ...

    def list(self, prefix: str, at: str) -> Sequence[str]:
        """Sorted paths below ``prefix``; what is no path of a store is left out."""
        ...

    def read(self, path: str, at: str) -> bytes | None:
        """Content of a file, or None if there is none.

        Raises:
            VarSpacesError: if it is no plain file of at most ``MAX_FILE`` bytes.
        """
        ...

    def commit(self, changes: Changes, parent: str, message: str) -> str:
        """Apply all changes to the state ``parent`` and return the new head.

        Raises:
            Moved: if the head is not ``parent``; nothing has changed then.
            Unwritable: if the place does not take it.
        """
        ...

    def problems(self) -> Sequence[str]:
        """One line for everything that is left out or damaged in the place itself."""
        ...


def is_path(path: str) -> bool:
    """Whether a path stays in the store, hides nothing and means the same on every system."""
    return len(path) <= MAX_PATH and PATH_PATTERN.fullmatch(path) is not None


def check_path(path: str) -> str:
    """Refuse a path that could lead out of the store or hide in it."""
    if not is_path(path):
        raise VarSpacesError(
            f"{path[:80]!r} is no path of a store: letters, digits, '.', '_', '-' and '/' only."
        )
    return path


def too_large(path: str) -> VarSpacesError:
    """The refusal of a file above the limit."""
    return VarSpacesError(f"{path} is larger than the allowed {MAX_FILE // 2**20} MiB.")
