"""Plain text tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from var_spaces.errors import printable


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Align columns with two spaces between them; one line per row."""
    lines = [[printable(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "".join(f"{line}\n" for line in padded)
