"""Paths that people write, with ``~`` for their home folder, and files that are written whole."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex

from var_spaces.errors import VarSpacesError


def expanded(path: str | Path) -> Path:
    """The path with ``~`` as the home folder of whoever runs this.

    Raises:
        VarSpacesError: if it begins with ``~`` and there is no such folder: containers may have
            neither HOME nor an entry for their user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise VarSpacesError(
            f"There is no home folder for '{str(path)[:80]}': set HOME, or write the path in full."
        ) from None


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        VarSpacesError: if the place cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")  # whoever else writes it
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise VarSpacesError(f"Cannot write {path}: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
