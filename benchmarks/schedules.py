"""What a run costs at every schedule preset: tokens, seconds, bytes of the KV cache.

The network is the embedded text-to-image model; at schedules other than its own it was not trained,
so this measures cost and says nothing of pictures. The full cache is kept; guidance is on.
CPU seconds do not depend on what else the machine does, seconds of the clock do.

    python benchmarks/schedules.py
"""

from __future__ import annotations

import argparse
import statistics
import time

from report import table, write

import var_spaces
from var_spaces.aspect import NAMES, PRESETS, published
from var_spaces.cache.full import Full
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.events import ScaleDone
from var_spaces.methods import parse
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.images.text_samples import Prompts

PROMPT = "a red apple on a blue background in soft style"


def cases(own: tuple[int, ...], ratios: list[str], presets: list[str]) -> dict:
    """Schedules by name: the model's own, and the published presets in some aspect ratios."""
    found = {"own 1:1": ScaleSchedule.square(own)}
    for preset in presets:
        for ratio in ratios:
            found[f"{preset} {ratio}"] = published(preset, NAMES[ratio])
    return found


def measure(model: var_spaces.Model, schedule: ScaleSchedule, encoder) -> dict:
    """Seconds and bytes of one image; decoding to pixels is not part of it."""
    setup = RunSetup(
        tokenizer=model.tokenizer,
        backbone=model.backbone,
        schedule=schedule,
        conditioning=Prompts(encoder, (PROMPT,)),
        images=(0,),
        noise=SeededNoise(1),
        sampling=parse("sampling", dict(model.card.defaults["sampling"])),
        guidance=parse("guidance", dict(model.card.defaults["guidance"])),
        cache=Full(),
        decoding=PlainDecoding(),
    )
    started, used = time.perf_counter(), time.process_time()
    scales = [event for event in run(setup) if isinstance(event, ScaleDone)]
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "kv_bytes": scales[-1].kv_bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="t2i-bit")
    parser.add_argument("--ratios", nargs="+", default=["1:1", "2:1"], choices=list(NAMES))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--repeats", type=int, default=1, help="runs per number, after a warm-up")
    args = parser.parse_args()

    model = var_spaces.load(args.model)
    encoder = parse("text_encoder", model.card.text_encoder).load("cpu")
    rows, data = [], []
    own = tuple(model.card.architecture["patch_nums"])
    for name, schedule in cases(own, args.ratios, args.presets).items():
        measure(model, ScaleSchedule(schedule.sizes[:3]), encoder)  # warm-up
        runs = [measure(model, schedule, encoder) for _ in range(args.repeats)]
        seconds, cpu = (
            statistics.median(found[kind] for found in runs) for kind in ("seconds", "cpu_seconds")
        )
        kv = runs[0]["kv_bytes"]
        grid = "x".join(map(str, schedule.last))
        rows.append([name, schedule.num_scales, grid, schedule.total, seconds, cpu])
        rows[-1] += [1e3 * cpu / schedule.total, kv / 2**20, kv / schedule.total]
        data.append({"schedule": name, "sizes": schedule.sizes, "runs": runs})
        print(rows[-1], flush=True)
        report(rows, data)  # after every row: large schedules take long


def report(rows: list, data: list) -> None:
    """Write the table."""
    head = ["schedule", "scales", "last map", "tokens", "seconds", "CPU seconds"]
    text = table([*head, "CPU ms per token", "KV MiB", "KV bytes per token"], rows)
    write("schedules", "Cost of a run by schedule", data, text)


if __name__ == "__main__":
    main()
