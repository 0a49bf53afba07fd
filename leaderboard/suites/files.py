"""Reads the files of benchmarks that were downloaded by hand; one line if they are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from var_spaces import codecs
from var_spaces.errors import VarSpacesError

MAX_BYTES = 256 * 1024 * 1024
MAX_LINE = 1024 * 1024


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        VarSpacesError: if it is damaged.
    """
    return codecs.parse_json(_read(path), str(path), MAX_BYTES)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one on each line.

    Raises:
        VarSpacesError: names the line that is none.
    """
    found = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        if line.strip():
            data = codecs.parse_json(line, f"{path}, line {number},", MAX_LINE)
            if not isinstance(data, dict):
                raise VarSpacesError(f"{path}, line {number}, is no JSON object.")
            found.append(data)
    return found


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise VarSpacesError(f"Cannot read {path}: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise VarSpacesError(f"{path} is larger than the allowed {MAX_BYTES >> 20} MiB.")
    return data
