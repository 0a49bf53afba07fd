"""CSV for spreadsheets: what strangers wrote stays text there, and no formula."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from var_spaces.cli.table import printable

FORMULA = tuple("=+-@|")  # how a cell begins that a spreadsheet would run


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header and lines below it; None is an empty cell, numbers stay numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_safe, header))
    writer.writerows(map(_safe, row) for row in rows)
    return out.getvalue()


def _safe(value: Any) -> Any:
    """Full-width signs count too, and so do signs behind spaces."""
    if not isinstance(value, str):
        return value
    value = printable(value)
    shown = unicodedata.normalize("NFKC", value).lstrip()
    return f"'{value}" if shown.startswith(FORMULA) else value
