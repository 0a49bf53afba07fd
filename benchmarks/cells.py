"""Cells of a benchmark that takes long: each is kept in a file, and a run may end between two."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from var_spaces.paths import write_file

Cell = dict[str, Any]


def parsed(parser: argparse.ArgumentParser, folder: str) -> argparse.Namespace:
    """The command line, with flags of threads, the place of cells, and the time a run may take."""
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cells", type=Path, default=Path("runs") / folder)
    parser.add_argument(
        "--minutes", type=float, help="begin no cell later than this; run it again for the others"
    )
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    return options


class Cells:
    """Numbers by name, from files or measured now.

    Args:
        minutes: after these no cell is begun; None: all are measured.
    """

    def __init__(self, folder: Path, minutes: float | None = None) -> None:
        self.folder = folder
        self.end = None if minutes is None else time.monotonic() + 60 * minutes

    def path(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '_')}.json"

    def of(self, names: Sequence[str], measure: Callable[[str], Cell]) -> Iterator[Cell]:
        """The cell of every name, in order.

        Raises:
            SystemExit: when time is up before all are there.
        """
        for done, name in enumerate(names):
            path = self.path(name)
            if not path.is_file():
                if self.end is not None and time.monotonic() > self.end:
                    raise SystemExit(f"{done} of {len(names)} cells: run it again for the others.")
                path.parent.mkdir(parents=True, exist_ok=True)
                cell = measure(name)
                write_file(path, json.dumps(cell).encode())
                print(name, cell, flush=True)
            yield json.loads(path.read_bytes())
