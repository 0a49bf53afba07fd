"""How much of a codebook each training method uses, and what that is worth in PSNR.

python benchmarks/codebook.py

Same seed, images, steps and network for all: 32 px scenes, 8 x 8 latents, a small autoencoder. A
finished cell is never run again (--fresh forgets all), so the table can grow over many sittings.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from report import FOLDER, table, write

from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.training.codebooks import base
from var_spaces.training.codebooks.quantizer import fold
from var_spaces.training.engine.budget import Budget
from var_spaces.training.engine.config import TrainConfig, build
from var_spaces.training.engine.trainer import Trainer
from var_spaces.training.images.charts import line_chart, stacked
from var_spaces.training.recipes.tokenizer import TokenizerConfig, TokenizerRecipe

SIZE, PATCH = 32, 4
LAYOUTS = {"single": (8,), "multi": (1, 2, 4, 8)}
# Label of a method in the table: its name in recipe files and its parameters.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "vanilla": ("vanilla", {}),
    "resets": ("resets", {}),
    "ema": ("ema", {}),
    "linear": ("linear", {}),
    "mlp": ("mlp", {}),
    "fsq": ("fsq", {}),
    "vqbridge": ("vqbridge", {"patch": 4, "width": 64}),
    "vqbridge dit": ("vqbridge", {"patch": 4, "width": 64, "variant": "dit"}),
    "vqbridge entropy": ("vqbridge", {"patch": 4, "width": 64, "entropy": 0.1}),
}
FIRST = ("vanilla", "vqbridge", "resets", "linear")
# What runs when nothing is asked for, most telling first: about 35 minutes of one core.
USUAL = [
    *(("single", codes, name) for codes in (1024, 4096) for name in FIRST),
    *(("single", 16384, name) for name in FIRST[:2]),
    *(("single", 1024, name) for name in METHODS if name not in FIRST),
    *(("multi", 1024, name) for name in FIRST[:3]),
    *(("single", 16384, name) for name in FIRST[2:]),
    *(("single", 4096, name) for name in METHODS if name not in FIRST),
    *(("multi", 1024, name) for name in METHODS if name not in FIRST[:3]),
]


@dataclass(frozen=True)
class Cell:
    """One training run; equal cells give equal numbers."""

    layout: str
    codes: int
    method: str
    steps: int
    batch: int
    channels: int
    width: int
    lr: float
    seed: int


def model_config(cell: Cell) -> ResidualVQConfig:
    """One scale needs no phi. A grid has log4(codes) channels of four levels each."""
    single = cell.layout == "single"
    return ResidualVQConfig(
        ch=cell.width,
        ch_mult=(1,),
        num_res_blocks=1,
        stem_patch=PATCH,
        norm_groups=8,
        z_channels=cell.codes.bit_length() // 2 if cell.method == "fsq" else cell.channels,
        vocab_size=cell.codes,
        patch_nums=LAYOUTS[cell.layout],
        quant_resi=0.0 if single else 0.5,
        share_quant_resi=1 if single else 4,
    )


def run(cell: Cell, device: torch.device) -> dict[str, Any]:
    """Train one cell and measure it."""
    name, parameters = METHODS[cell.method]
    config = TokenizerConfig(
        codebook=name, annealing="linear", warmup_steps=10, truncate=0.0, eval_images=128
    )
    method = base.get(name)(**parameters)
    recipe = TokenizerRecipe(model_config(cell), config, cell.seed, device, method=method)
    given = {
        "batch_size": cell.batch, "lr": cell.lr, "optimizer": "adamw", "warmup": 0.1,
        "eval_minutes": 1e9, "checkpoint_minutes": 1e9, "log_every": 20, "seed": cell.seed,
    }  # fmt: skip
    train = build(TrainConfig, given, "[train]")
    with tempfile.TemporaryDirectory() as folder:
        budget = Budget(steps=cell.steps)
        trainer = Trainer(recipe, train, budget, Path(folder), device, quiet=True)
        started = time.process_time()
        model = trainer.run()
        seconds = time.process_time() - started
        if trainer.stopping:
            raise SystemExit("stopped; cells that are finished are kept")
        lines = (Path(folder) / "metrics.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    curve = [(row["step"], row["usage"]) for row in rows if "usage" in row]
    last = [row["mse"] for row in rows if "mse" in row][-5:]
    return {
        **asdict(cell),
        "usage": curve[-1][1],
        "usage_eval": rows[-1]["eval"]["codebook_usage_2048_images"],
        "perplexity": next(row["perplexity"] for row in rows[::-1] if "perplexity" in row),
        "mse": sum(last) / len(last),
        "psnr": rows[-1]["eval"]["psnr_unseen_wide"],
        "folded_equals": folded_equals(recipe, model),
        "cpu_seconds": seconds,
        "curve": curve,
    }


@torch.no_grad()
def folded_equals(recipe: TokenizerRecipe, model: ResidualVQ) -> bool:
    """Whether the exported tokenizer gives the ids and images of the trained one."""
    images, plain = recipe.source.batch(9, 0, 32), fold(model)
    pairs = zip(plain.encode(images), model.encode(images), strict=True)
    same = all(torch.equal(ours, theirs) for ours, theirs in pairs)
    return same and torch.equal(plain.reconstruct(images), model.reconstruct(images))


def wanted(args: argparse.Namespace) -> Iterator[Cell]:
    named = args.methods or args.codes or args.layouts
    grid = [
        (layout, codes, method)
        for layout in args.layouts or ["single"]
        for codes in args.codes or (1024, 4096, 16384)
        for method in args.methods or METHODS
    ]
    for layout, codes, method in grid if named else USUAL:
        yield Cell(
            layout, codes, method, args.steps, args.batch, args.channels, args.width, args.lr,
            args.seed,
        )  # fmt: skip


def read_results() -> list[dict[str, Any]]:
    path = FOLDER / "codebook.json"
    return json.loads(path.read_text("utf-8"))["results"] if path.is_file() else []


def publish(results: list[dict[str, Any]]) -> Path:
    """Table, numbers and curves."""
    order = {name: place for place, name in enumerate(METHODS)}
    results = sorted(
        results, key=lambda r: (r["layout"] != "single", r["codes"], r["steps"], order[r["method"]])
    )
    head = ["scales", "codes", "method", "steps x batch", "usage %", "usage, 2,048 images %"]
    head += ["perplexity", "training MSE", "PSNR dB", "folded is equal", "core seconds"]
    rows = [
        [
            len(LAYOUTS[r["layout"]]), r["codes"], r["method"], f"{r['steps']} x {r['batch']}",
            f"{100 * r['usage']:.1f}", f"{100 * r['usage_eval']:.1f}", round(r["perplexity"]),
            f"{r['mse']:.4f}", f"{r['psnr']:.2f}", "yes" if r["folded_equals"] else "NO",
            round(r["cpu_seconds"]),
        ]
        for r in results
    ]  # fmt: skip
    FOLDER.mkdir(parents=True, exist_ok=True)
    charts = []
    for layout, codes in sorted({(r["layout"], r["codes"]) for r in results}, reverse=True):
        same = [r for r in results if (r["layout"], r["codes"]) == (layout, codes)]
        lines = {r["method"]: r["curve"] for r in same}
        title = f"{codes:,} codes, {layout} scale: share of codes in the last 65,536 assignments"
        charts.append(line_chart(title, ("step", "usage"), lines, (0, 1)))
    stacked(charts).save(FOLDER / "codebook.png")
    text = table(head, rows) + "\n\n![Usage over the run](codebook.png)"
    return write("codebook", "Codebook usage by training method", results, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="default: see USUAL")
    parser.add_argument("--codes", nargs="+", type=int, help="codebook sizes, e.g. 1024 4096 16384")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, help="single or multi scale")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channels", type=int, default=64, help="of a code")
    parser.add_argument("--width", type=int, default=16, help="of the autoencoder")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="start no cell after so many core minutes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--fresh", action="store_true", help="forget the cells that are finished")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = [] if args.fresh else read_results()
    names = tuple(Cell.__dataclass_fields__)
    done = {tuple(r[name] for name in names) for r in results}
    for cell in wanted(args):
        if args.minutes and time.process_time() > args.minutes * 60:
            break
        if tuple(asdict(cell).values()) in done:
            continue
        results.append(run(cell, torch.device(args.device)))
        shown = {k: v for k, v in results[-1].items() if k not in ("curve", *names[3:])}
        print(shown, flush=True)
        publish(results)
    print(publish(results))


if __name__ == "__main__":
    main()
