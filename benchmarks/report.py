"""Where benchmarks put their numbers: ``docs/results/<name>.json`` and a page beside it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "results"


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


def write(name: str, title: str, command: str, data: Any, text: str) -> Path:
    """Write the numbers and the page that shows them; returns the page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine = hardware()
    record = {"command": command, "hardware": machine, "results": data}
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    where = ", ".join(f"{key} {value}" for key, value in machine.items())
    page = FOLDER / f"{name}.md"
    page.write_text(f"# {title}\n\n`{command}`\n\n{text}\n\nMeasured with: {where}.\n", "utf-8")
    return page
