"""Latency, throughput, memory and share of the machine's ceilings, case by case.

    python -m benchmarks.gpu.speed --seconds 300 --rows rows.jsonl [--tiny]

A process of its own, so that whoever started it can end it; every case is a line of the file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu import without_pydantic

without_pydantic.install()

import torch  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.gpu import attention, machine  # noqa: E402
from benchmarks.gpu.cases import Case, cases  # noqa: E402
from benchmarks.gpu.models import RandomText, Size, fresh, size  # noqa: E402
from var_spaces import methods  # noqa: E402
from var_spaces.backbones import fused  # noqa: E402
from var_spaces.decoding.conditioning import ClassConditioning  # noqa: E402
from var_spaces.decoding.loop.graphs import GRAPHS  # noqa: E402
from var_spaces.decoding.loop.noise import SeededNoise  # noqa: E402
from var_spaces.decoding.loop.run import run  # noqa: E402
from var_spaces.decoding.setup import RunSetup  # noqa: E402
from var_spaces.zoo.quantise import quantisable, quantise_layer  # noqa: E402

RUNS = 5  # of a case that count
RECORDED = 2  # runs before them: one is launched, one is recorded
PATIENCE = 20.0  # seconds of runs of a case
LEAST = 15.0  # seconds that a case is begun with


class Models:
    """The models of the last case; the next one mostly has the same."""

    def __init__(self, device: torch.device, tiny: bool) -> None:
        self.device, self.tiny = device, tiny
        self._held: dict[tuple, Any] = {}

    def of(self, case: Case) -> tuple[Size, Any, Any, dict[str, Any]]:
        """Size, backbone, tokenizer and partner of a case."""
        sizes = size(case.model, case.pixels, self.tiny)
        dtype = self._dtype(case)
        wanted = {
            ("tokenizer", case.model, case.pixels): (sizes.tokenizer, torch.float32, "none"),
            (case.model, case.pixels, dtype, case.quant): (sizes.backbone, dtype, case.quant),
        }
        if case.partner:
            other = size(case.partner, case.pixels, self.tiny).backbone
            wanted[case.partner, case.pixels, dtype, "none"] = (other, dtype, "none")
        for key in [key for key in self._held if key not in wanted]:
            GRAPHS.forget(self._held.pop(key))
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        for key, (build, kind, quant) in wanted.items():
            if key not in self._held:
                self._held[key] = quantised(fresh(build, self.device, kind), quant, self.device)
        tokenizer, backbone, *partner = (self._held[key] for key in wanted)
        return sizes, backbone, tokenizer, dict.fromkeys([case.partner], *partner)

    def drop(self) -> None:
        """Forget all models."""
        while self._held:
            GRAPHS.forget(self._held.popitem()[1])

    def _dtype(self, case: Case) -> torch.dtype:
        if case.way == "eager float32":
            return torch.float32
        return torch.bfloat16 if case.model.startswith("infinity") else torch.float16


def quantised(module: torch.nn.Module, quant: str, device: torch.device) -> torch.nn.Module:
    """The module with few bits for the weights of its blocks."""
    for name, layer in quantisable(module).items() if quant != "none" else ():
        given = (layer.weight.data, layer.bias if layer.bias is None else layer.bias.data)
        quantise_layer(module, name, *given, quant, layer.weight.dtype, device)
    return module


def measured(case: Case, models: Models) -> dict[str, Any]:
    """The numbers of a case."""
    device = models.device
    sizes, backbone, tokenizer, extra = models.of(case)
    setup = RunSetup(
        tokenizer=tokenizer,
        backbone=backbone,
        schedule=sizes.schedule,
        conditioning=RandomText()
        if case.model.startswith("infinity")
        else ClassConditioning(tuple(range(case.images))),
        images=tuple(range(case.images)),
        noise=SeededNoise(0, device),
        sampling=methods.parse("sampling", sampling(case)),
        guidance=methods.parse("guidance", guidance(case)),
        cache=methods.parse("cache", dict(case.cache) or "full"),
        decoding=methods.parse("decoding", dict(case.decoding) or "plain"),
        extra=extra,
    )
    ours = case.way == "ours"
    with nullcontext() if ours else fused.plain():
        with FlopCounterMode(display=False) as counter:
            draw(setup)
        if ours and device.type == "cuda":
            setup = replace(setup, graphs=GRAPHS)
            for _ in range(RECORDED):
                draw(setup)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        times, ids = timed(setup, 1 if models.tiny else RUNS)
    latency = statistics.median(times)
    row = {"case": case.name, "way": case.way, "seconds": latency, "runs": len(times)}
    row["images_per_second"] = case.images / latency
    row["tokens"] = [part.flatten().tolist()[:4096] for part in ids]
    if device.type == "cuda":
        row["peak_bytes"] = torch.cuda.max_memory_allocated(device)
        try:
            row["estimated_bytes"] = estimated(case, sizes, setup)
        except Exception as error:  # what was measured stays
            row["no_estimate"] = f"{type(error).__name__}: {str(error)[:160]}"
    row["operations"] = counter.get_total_flops()
    return row


def timed(setup: RunSetup, runs: int) -> tuple[list[float], list[torch.Tensor]]:
    """Seconds of so many runs, or as many as there is patience for, and the ids of the last."""
    times: list[float] = []
    while len(times) < runs and sum(times) < PATIENCE:
        machine.wait(setup.device)
        started = time.perf_counter()
        ids = draw(setup)
        machine.wait(setup.device)
        times.append(time.perf_counter() - started)
    return times, ids


def sampling(case: Case) -> str:
    """The published sampler of a model, by its name."""
    return "bits" if case.model.startswith("infinity") else "top-k-top-p"


def guidance(case: Case) -> dict[str, Any]:
    """The published guidance of a model."""
    if case.model.startswith("infinity"):
        return {"name": "per-scale", "scale": (3.0,)}
    return {"name": "linear", "scale": 1.5}


def draw(setup: RunSetup) -> list[torch.Tensor]:
    """One run to its end; ids per scale."""
    steps = run(setup)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def estimated(case: Case, sizes: Size, setup: RunSetup) -> int | None:
    """Bytes that the zoo says such a run will take; None where it has no card for it."""
    if not sizes.card:
        return None
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.estimate import estimate

    found = estimate(
        get_card(sizes.card),
        cache=setup.cache,
        guidance=setup.guidance,
        decoding=setup.decoding,
        schedule=setup.schedule,
        count=case.images,
        dtype=str(next(setup.backbone.parameters()).dtype).removeprefix("torch."),
        quant=case.quant,
        device=setup.device,
    )
    text = sum(size for name, size in found.weights.items() if "text encoder" in name)
    return found.total - text  # features are random here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="lines that there are stay")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    end = time.monotonic() + args.seconds
    device = torch.device(args.device)
    if args.device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    lines = args.rows.read_text("utf-8").splitlines() if args.rows.is_file() else []
    done = {(row["case"], row["way"]) for row in map(json.loads, lines)}
    models = Models(device, args.tiny)
    with open(args.rows, "a", encoding="utf-8") as file:

        def note(row: dict[str, Any]) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(row["case"], row["way"], row.get("seconds", row.get("why", "")), flush=True)

        if ("ceilings", "") not in done:
            note({"case": "ceilings", "way": "", **machine.ceilings(device, args.tiny)})
        for case in cases(args.tiny):
            if (case.name, case.way) in done:
                continue
            if end - time.monotonic() < (0 if args.tiny else LEAST):
                break
            try:
                note(measured(case, models))
            except Exception as error:  # one case must not end the others
                why = (str(error).splitlines() or [""])[0][:160]
                note({"case": case.name, "way": case.way, "why": f"{type(error).__name__}: {why}"})
                models.drop()
        begun = any(case.startswith("attention") for case, _ in done)
        if not begun and (args.tiny or end - time.monotonic() > 2 * LEAST):
            try:
                for row in attention.rows(device, args.tiny):
                    note(row)
            except Exception as error:
                why = f"{type(error).__name__}: {str(error)[:160]}"
                note({"case": "attention", "way": "one kernel", "why": why})


if __name__ == "__main__":
    main()
