"""What commands print: lines without control characters, and JSON that is JSON."""

from __future__ import annotations

import json
import math
import sys
from typing import Any, TextIO

from var_spaces.cli.table import printable


def say(*lines: str, to: TextIO | None = None) -> None:
    """Print lines that may hold texts of strangers."""
    for line in lines:
        print(printable(line), file=to or sys.stdout, flush=True)


def say_json(data: Any) -> None:
    """Print JSON; a number that is not finite has none and becomes null."""
    print(json.dumps(_finite(data), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
