"""Plain text tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

JOINERS = "\u200c\u200d"  # parts of letters and emoji


def printable(text: str) -> str:
    """Text of strangers on one line: no control character reaches a terminal.

    Line ends and tabs become spaces, escapes and marks that turn the direction of text become "?".
    """
    if text.isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(char: str) -> str:
    if char.isprintable() or char in JOINERS:
        return char
    return " " if char.isspace() and unicodedata.category(char) != "Cf" else "?"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Align columns with two spaces between them; one line per row."""
    lines = [[printable(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "".join(f"{line}\n" for line in padded)
