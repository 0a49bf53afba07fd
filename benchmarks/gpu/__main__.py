"""The command; see the package."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

import benchmarks.gpu as package
from benchmarks.gpu import machine
from benchmarks.gpu.pack import pack, unpack
from benchmarks.gpu.page import page
from benchmarks.gpu.processes import GRACE, TIMED_OUT, bounded
from benchmarks.gpu.training import ROOT, train_all

NUMBERS, PAGE = "results.json", "gpu.md"
PACKING = 20.0  # seconds at the end
TESTS, TRAINING = 0.15, 0.5  # shares of the time; speed has the rest
MOST_TESTS = 120.0  # seconds
STEPS = ("tests", "training", "speed")
CUDA_TESTS = ("tests/conformance", "tests/decoding", "tests/backbones", "tests/tokenizers")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("benchmarks.gpu", description=package.__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, required=True, help="of the whole command")
    parser.add_argument("--out", type=Path, required=True, help="folder of what comes out")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu"), help="checkpoints and logs")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to try it out")
    args = parser.parse_args(arguments)
    if args.device != "cpu" and not torch.cuda.is_available():
        print("error: no CUDA device here; --tiny --device cpu tries it out.", file=sys.stderr)
        return 2
    Session(args).run()
    return 0


class Session:
    """One call of the command; what earlier calls found is kept."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out, self.work = args.out.resolve(), args.work.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        self.began, self.whole = time.monotonic(), 60 * args.minutes - PACKING
        where = machine.name(torch.device(args.device))
        command = f"python -m benchmarks.gpu --minutes {args.minutes:g}"
        self.results: dict[str, Any] = {"command": command, "machine": where}
        if (self.out / NUMBERS).is_file():
            before = json.loads((self.out / NUMBERS).read_text("utf-8"))
            if before.get("machine") == where:  # numbers of another machine do not go together
                self.results = before
                if not (self.work / "models").is_dir():
                    unpack(self.out, self.work)

    def left(self) -> float:
        """Seconds until the end."""
        return self.whole - (time.monotonic() - self.began)

    def run(self) -> None:
        """All steps; after each the results are written."""
        for step in self.args.steps:
            print(f"== {step}, {self.left():.0f} s left", flush=True)
            getattr(self, step)()
            self.write()
        print((self.out / PAGE).read_text("utf-8"))

    def tests(self) -> None:
        """The tests that need CUDA, and those of conformance."""
        if self.results.get("tests"):
            return
        absent = [name for name in ("pytest", "pydantic") if importlib.util.find_spec(name) is None]
        if absent:
            self.results["tests"] = [f"not run: there is no {' and no '.join(absent)} here"]
            return
        seconds = min(MOST_TESTS, TESTS * self.whole)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-m", "cuda", *(["--collect-only"] if self.args.tiny else [])]
        paths = CUDA_TESTS if not self.args.tiny else CUDA_TESTS[1:2]
        self.results["tests"] = [self._tested("CUDA", [*command, *paths], seconds)]
        if not self.args.tiny:
            spent = seconds - (time.monotonic() - self.began)
            command = [*command[:6], "tests/conformance"]
            self.results["tests"].append(self._tested("conformance", command, max(spent, 10)))

    def _tested(self, what: str, command: list[str], seconds: float) -> str:
        log = self.work / f"tests-{what}.log"
        log.unlink(missing_ok=True)
        code, last = bounded(command, seconds, log, ROOT)
        return f"{what}: exit code {code}, {last}"

    def training(self) -> None:
        """Models by their recipes; those that are finished stay."""
        kept = [row for row in self.results.get("training", []) if "why" not in row]
        end = self.left() - (1 - TESTS - TRAINING) * self.whole
        end = min(end, TRAINING * self.whole) if "speed" in self.args.steps else self.left()
        began = time.monotonic()

        def left() -> float:
            return end - (time.monotonic() - began) - GRACE

        done = {row["recipe"] for row in kept}
        args = self.args
        rows = train_all(self.work, left, args.device, args.tiny, done)
        self.results["training"] = kept
        for row in rows:
            print(row, flush=True)
            self.results["training"].append(row)
            self.write()

    def speed(self) -> None:
        """Cases, until the time is over."""
        lines = self.work / "speed.jsonl"
        kept = [row for row in self.results.get("speed", []) if "why" not in row]
        lines.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
        seconds = max(self.left() - GRACE, 1.0)
        command = [sys.executable, "-m", "benchmarks.gpu.speed", "--seconds", f"{seconds:.0f}"]
        command += ["--rows", str(lines), "--device", self.args.device]
        command += ["--tiny"] * self.args.tiny
        log = self.work / "speed.log"
        code, last = bounded(command, seconds + GRACE / 2, log, ROOT)
        rows = [line for line in lines.read_text("utf-8").splitlines() if line.endswith("}")]
        self.results["speed"] = [json.loads(line) for line in rows]
        if code not in (0, TIMED_OUT):
            why = f"ended with {code}: {last}"
            self.results["speed"].append({"case": "the rest", "way": "", "why": why})

    def write(self) -> None:
        """Numbers, page and the weights of all models that were trained."""
        trained = [row["recipe"] for row in self.results.get("training", []) if "why" not in row]
        found = [self.work / "models" / name.removesuffix("-gpu") for name in trained]
        if found:
            self.results["left_out"] = pack(found, self.out)
        (self.out / NUMBERS).write_text(json.dumps(self.results) + "\n", "utf-8")
        (self.out / PAGE).write_text(page(self.results), "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
