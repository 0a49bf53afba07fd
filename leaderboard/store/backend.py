"""What a store needs from the place where its files lie: read, list, and commit if nobody else did.

A commit changes several files at once, or none. It names the head it was computed from and is
refused if the head has moved meanwhile (compare and swap), so writers never overwrite each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from var_spaces.errors import VarSpacesError

Changes = Mapping[str, bytes | None]  # content by path; None deletes

PATH_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
MAX_PATH = 240


class Moved(Exception):
    """Another writer was first: read again, decide again, commit again."""


class Backend(Protocol):
    """A versioned set of small files."""

    def head(self) -> str:
        """Name of the present state; it changes with every commit."""
        ...

    def list(self, prefix: str, at: str) -> Sequence[str]:
        """Sorted paths below ``prefix``."""
        ...

    def read(self, path: str, at: str) -> bytes | None:
        """Content of a file, or None if there is none."""
        ...

    def commit(self, changes: Changes, parent: str, message: str) -> str:
        """Apply all changes to the state ``parent`` and return the new head.

        Raises:
            Moved: if the head is not ``parent``; nothing has changed then.
        """
        ...


def check_path(path: str) -> str:
    """Refuse a path that could lead out of the store or hide in it."""
    if len(path) > MAX_PATH or not PATH_PATTERN.fullmatch(path):
        raise VarSpacesError(
            f"'{path[:80]}' is no path of a store: letters, digits, '.', '_', '-' and '/' only."
        )
    return path
