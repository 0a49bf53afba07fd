"""Paths that people write, with ``~`` for their home folder."""

from __future__ import annotations

from pathlib import Path

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
