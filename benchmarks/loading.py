"""What loading a full-size model costs: time, and peak memory beside the weights themselves.

Writes random weights in the layout of a published file and loads them in a fresh process.

    python benchmarks/loading.py --model var-d16
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from report import table, write
from safetensors.torch import save_file

from var_spaces.zoo.cards import Card, get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.manifest import build, manifest
from var_spaces.zoo.residency import module_bytes

KINDS = ("pth", "safetensors")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def random_file(card: Card, path: Path) -> None:
    """A weight file of the card's full layout, published buffers included."""
    state = {}
    for key, (shape, dtype) in manifest(card).items():
        kind = getattr(torch, dtype)
        state[key] = (
            torch.randn(shape) if kind.is_floating_point else torch.zeros(shape, dtype=kind)
        )
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)


def resident(name: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at most since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def measure(card: Card, dtype: torch.dtype) -> dict:
    """Load here, once, and compare the peak with the weights in their target type."""
    build(card)  # what any loading imports is not counted
    Path("/proc/self/clear_refs").write_text("5")
    before, started = resident("VmRSS"), time.perf_counter()
    module = load_module(card, "cpu", dtype)
    seconds = time.perf_counter() - started
    peak, weights = resident("VmHWM") - before, module_bytes(module)
    return {"seconds": seconds, "weights": weights, "peak": peak, "ratio": peak / weights}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="var-d16")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "DTYPE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    card = get_card(args.model)
    if args.child:
        folder, dtype = args.child
        local = card.model_copy(update={"source": None, "folder": Path(folder)})
        print(json.dumps(measure(local, TYPES[dtype])))
        return
    rows, data = [], []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            random_file(card, Path(folder) / f"model.{kind}")
            for dtype in TYPES:
                command = [sys.executable, __file__, "--model", args.model, "--child"]
                done = subprocess.run(
                    [*command, folder, dtype], check=True, capture_output=True, text=True
                )
                found = json.loads(done.stdout)
                data.append({"model": args.model, "file": kind, "dtype": dtype, **found})
                sizes = [round(found[key] / 1e6) for key in ("weights", "peak")]
                rows.append([args.model, kind, dtype, found["seconds"], *sizes, found["ratio"]])
                print(rows[-1], flush=True)
    head = ["model", "file (float32)", "loaded as", "s", "weights MB", "peak MB", "peak / weights"]
    print(write("loading", "Loading a full-size model", data, table(head, rows)))


if __name__ == "__main__":
    main()
