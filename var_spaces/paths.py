"""Paths that people write, with ``~`` for their home folder, and files that are written whole."""

from __future__ import annotations

import os
from contextlib import suppress
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
    if not path.name:
        raise VarSpacesError(f"'{path}' names no file to write.")
    part = path.with_name(f".{token_hex(8)}.part")  # short, and of nobody else who writes it
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise VarSpacesError(f"Cannot write {path}: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            part.unlink()


def made_folder(path: Path) -> Path:
    """The folder, made where it is not there yet, before the work whose results go into it.

    Raises:
        VarSpacesError: if it cannot be made, or nothing can be written into it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VarSpacesError(f"Cannot make the folder {path}: {error.strerror}.") from None
    if not os.access(path, os.W_OK):
        raise VarSpacesError(f"Cannot write into {path}: allow it, or name another folder.")
    return path
