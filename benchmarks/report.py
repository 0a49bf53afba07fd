"""Where benchmarks put their numbers: ``docs/results/<name>.json`` and a page beside it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "results"
WHERE_AND_WHEN = ("--cells", "--minutes")  # of a run on this machine, and nothing of its numbers


def hardware() -> dict[str, Any]:
    """What the numbers of this run depend on."""
    import torch

    from var_spaces.record import cpu_name
    from var_spaces.training.engine.export import commit, device_name

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "device": device_name(device),
        "cpu": cpu_name(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit(),
    }


def fingerprint(*weights: str) -> str:
    """One short name for the weights that a kept number depends on, given by their digests."""
    return hashlib.sha256(" ".join(weights).encode()).hexdigest()[:12]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; floats get three significant digits."""
    shown = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    lines = [list(head), ["---"] * len(head), *shown]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def asked(argv: Sequence[str]) -> str:
    """The command line that makes a page again, without what belongs to this machine.

    Args:
        argv: of the benchmark, its file first. The place of cells and the time of a run are left
            out; of other places it says that there is one.
    """
    options: list[list[str]] = [[]]  # what stands before the first option, and each with its values
    for word in argv[1:]:
        if word.startswith("--"):
            options.append([])
        words = word.split("=", 1) if word.startswith("--") else [word]
        options[-1] += ["FOLDER" if os.sep in part else part for part in words]
    said = [words for words in options if not {*words[:1]} & {*WHERE_AND_WHEN}]
    return shlex.join(["python", f"benchmarks/{Path(argv[0]).name}", *chain(*said)])


def write(name: str, title: str, data: Any, text: str) -> Path:
    """Write the numbers, the command that was given, and the page that shows both.

    Args:
        name: of the page and of the file beside it.
        data: all numbers.
        text: of the page, in Markdown.

    Returns:
        The page.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine, command = hardware(), asked(sys.argv)
    record = {"command": command, "hardware": machine, "results": data}
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    where = ", ".join(f"{key} {value}" for key, value in machine.items())
    page = FOLDER / f"{name}.md"
    page.write_text(f"# {title}\n\n`{command}`\n\n{text}\n\nMeasured with: {where}.\n", "utf-8")
    return page
