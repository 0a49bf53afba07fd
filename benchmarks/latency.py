"""How long an image takes: from a cold command line, and in a process that has loaded the model.

python benchmarks/latency.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import table, write

import var_spaces

ROOT = Path(__file__).parents[1]


def cold(model: str) -> float:
    """Seconds of one ``generate`` command, start of Python included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "var_spaces", "generate", "--model", model]
        command += ["--class", "red apple", "--seed", "1", "--out", f"{folder}/a.png"]
        started = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        return time.perf_counter() - started


def warm(model: str, count: int, previews: bool) -> float:
    """Seconds from the call to the last event."""
    settings = {"model": model, "class_": "red apple", "seed": 1, "count": count}
    started = time.perf_counter()
    for _ in var_spaces.stream(**settings, previews=previews):
        pass
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["var-small", "var-base"])
    parser.add_argument("--repeats", type=int, default=5, help="runs per number, after one warm-up")
    args = parser.parse_args()
    rows, data = [], []
    for model in args.models:
        cases = {
            "cold command line, 1 image": lambda m=model: cold(m),
            "warm, 1 image": lambda m=model: warm(m, 1, False),
            "warm, 1 image with previews": lambda m=model: warm(m, 1, True),
            "warm, 16 images": lambda m=model: warm(m, 16, False),
        }
        for name, case in cases.items():
            case()
            seconds = [case() for _ in range(args.repeats)]
            median = statistics.median(seconds)
            rows.append([model, name, median, min(seconds), max(seconds)])
            data.append({"model": model, "case": name, "seconds": seconds})
            print(rows[-1], flush=True)
    text = table(["model", "case", "median s", "min s", "max s"], rows)
    print(write("latency", "Time to an image", data, text))


if __name__ == "__main__":
    main()
