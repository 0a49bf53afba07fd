"""HMAR against VAR: quality, time and attention state, and quality against masked passes.

The embedded models draw trained (class, style) pairs once and unseen ones four times; all
configurations share seeds. Sizes of published models are counted without weights. Finished cells
are kept in ``--cells`` and not run again.

    python benchmarks/hmar.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from classes import JUDGE, pairs, translate
from full_size import counted
from image_metrics import frechet
from report import FOLDER, table, write
from torch import Tensor

import var_spaces
from var_spaces import methods
from var_spaces.evaluators.judge import hits, load_judge
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.images.charts import line_chart
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.samples import generate
from var_spaces.training.recipes.class_base import trained_classes

SHOWN = 16  # pairs in the picture
REAL = 2048
REAL_SEED = 8_000_009  # never a training seed
FULL_SIZE = [(16, 256), (20, 256), (24, 256), (30, 256), (24, 512), (24, 1024)]


def masked(*steps: int, guidance: float = 1e-6) -> dict[str, Any]:
    return {"name": "masked", "steps": steps, "guidance": guidance}


def everywhere(passes: int) -> dict[str, Any]:
    return masked(1, *[passes] * 5)


NONE = {"name": "none"}
RUNS: dict[str, dict[str, Any]] = {
    "VAR": {"model": "var-base", "cache": {"name": "full"}, "decoding": {"name": "plain"}},
    "VAR, history taken away": {"model": "var-base", "cache": NONE, "decoding": {"name": "plain"}},
    "HMAR, no masked passes": {"model": "hmar", "cache": NONE, "decoding": masked(1)},
    "HMAR, published passes 1 2 4": {"model": "hmar", "cache": NONE, "decoding": masked(1, 2, 4)},
    "HMAR, 2 passes a scale": {"model": "hmar", "cache": NONE, "decoding": everywhere(2)},
    "HMAR, 4 passes a scale": {"model": "hmar", "cache": NONE, "decoding": everywhere(4)},
    "HMAR, 8 passes a scale": {"model": "hmar", "cache": NONE, "decoding": everywhere(8)},
    "HMAR, 4 passes, coarse scales": {"model": "hmar", "cache": NONE, "decoding": masked(1, 4, 4)},
    "HMAR, 4 passes, fine scales": {
        "model": "hmar",
        "cache": NONE,
        "decoding": masked(1, 1, 1, 1, 4, 4),
    },
    "HMAR, 4 passes a scale, guided": {
        "model": "hmar",
        "cache": NONE,
        "decoding": masked(1, 4, 4, 4, 4, 4, guidance=1.0),
    },
}
CURVE = {
    1: "HMAR, no masked passes",
    2: "HMAR, 2 passes a scale",
    4: "HMAR, 4 passes a scale",
    8: "HMAR, 8 passes a scale",
}


class Quality:
    """Draws a configuration and judges what it drew."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.judge, self.card = load_judge(JUDGE)
        atlas = Atlas.load()
        scenes = SceneSampler(atlas, trained_classes(atlas, recipe("easy")))
        real = []
        for start in range(0, REAL, 64):
            pictures = render(atlas, scenes.batch(REAL_SEED, start, 64, torch.device("cpu")))
            real.append(self.features(pictures))
        self.real = torch.cat(real)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        return self.judge.features(images)

    def draw(self, run: dict[str, Any], labels: Tensor) -> Tensor:
        model = var_spaces.load(run["model"])
        return generate(
            model.tokenizer,
            model.backbone,
            labels[:, 0].tolist(),
            labels[:, 1].tolist(),
            cache=methods.parse("cache", run["cache"]),
            decoding=methods.parse("decoding", run["decoding"]),
        )

    def cell(self, run: dict[str, Any]) -> dict[str, float]:
        """Shares of right names (0..1), and the distance to real pictures in the judge's eyes."""
        card, found = var_spaces.load(run["model"]).card, {}
        for split, copies in (("train", 1), ("unseen_pairs", 4)):
            labels = spread(pairs(card, split).repeat_interleave(copies, 0), self.limit)
            images = self.draw(run, labels)
            classes = translate(labels[:, 0], card.classes, self.card["classes"])
            styles = translate(labels[:, 1], card.styles, self.card["styles"])
            right = hits(self.judge, images, classes, styles).float()
            prefix = "" if split == "train" else "unseen_"
            found[f"{prefix}images"] = len(images)
            found[f"{prefix}class"], found[f"{prefix}style"] = right.mean(0).tolist()
            found[f"{prefix}both"] = right.all(1).float().mean().item()
            if split == "train":
                found["frechet"] = frechet(self.features(images), self.real)
        return found


def spread(rows: Tensor, count: int) -> Tensor:
    """At most ``count`` of the rows, evenly spread."""
    return rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).long()]


def quality(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Cells by name, from the file or run now."""
    args.cells.parent.mkdir(parents=True, exist_ok=True)
    lines = args.cells.read_text().splitlines() if args.cells.is_file() else []
    done = {row["name"]: row for row in map(json.loads, lines) if row["limit"] == args.limit}
    bench = Quality(args.limit)
    for name, run in RUNS.items():
        if name not in done:
            done[name] = {"name": name, "limit": args.limit, **bench.cell(run)}
            with open(args.cells, "a") as file:
                file.write(json.dumps(done[name]) + "\n")
            print(done[name], flush=True)
    _sheet(bench)
    return {name: done[name] for name in RUNS}


def _sheet(bench: Quality) -> None:
    """Pictures of the same pairs and seeds, a row for each way of drawing."""
    card = var_spaces.load("hmar").card
    labels = spread(pairs(card, "train"), SHOWN)
    rows = [*list(RUNS)[:4], "HMAR, 4 passes a scale"]
    images = torch.cat([bench.draw(RUNS[name], labels) for name in rows])
    grid(images, SHOWN).save(FOLDER / "hmar.png", optimize=True)


def costs(repeats: int) -> dict[str, dict[str, Any]]:
    """Seconds of the scale loop for one image and for 8, and bytes held between scales.

    Configurations take turns, so that other work on the machine meets all of them alike.
    """
    found = {name: {"one": [], "eight": []} for name in RUNS}
    for repeat in range(repeats + 1):  # the first round warms up
        for name, run in RUNS.items():
            for size, count in (("one", 1), ("eight", 8)):
                spec = {"class_": "red apple", "seed": repeat, "count": count}
                started = time.perf_counter()
                *_, last = var_spaces.stream(**run, **spec, previews=False)
                if repeat:
                    found[name][size].append(time.perf_counter() - started)
            found[name]["kv"] = max(row.kv_bytes for row in last.record.scales) // count
    return found


def embedded_tables(cells: dict[str, Any], cost: dict[str, Any]) -> str:
    base = {size: statistics.median(cost["VAR"][size]) for size in ("one", "eight")}
    rows = []
    for name, cell in cells.items():
        times = [statistics.median(cost[name][size]) for size in ("one", "eight")]
        rows.append(
            [
                name,
                *(
                    round(cell[key], 3)
                    for key in ("class", "style", "unseen_class", "unseen_style")
                ),
                f"{cell['frechet']:.2f}",
                f"{1000 * times[0]:.0f}",
                f"{times[0] / base['one']:.2f}",
                f"{times[1] / base['eight']:.2f}",
                f"{cost[name]['kv'] / 1000:.0f}",
            ]
        )
    head = ["run", "class", "style", "unseen class", "unseen style", "Frechet", "ms, 1 image"]
    head += ["ratio, 1 image", "ratio, 8 images", "KV kB an image"]
    return table(head, rows)


def full_size_tables(found: list[dict[str, Any]]) -> str:
    rows = []
    for row in found:
        flops, extra = row["flops"], row["weights_hmar"] - row["weights_var"]
        rows.append(
            [
                f"d{row['depth']}, {row['resolution']} px",
                f"{row['weights_var'] / 1e9:.2f}",
                f"{row['weights_hmar'] / 1e9:.2f}",
                f"{row['kv_var'] / 1e6:.0f}",
                "0",
                f"{row['largest_scale_kv'] / 1e6:.1f}",
                f"{extra / row['kv_var']:.1f}",
                f"{flops['var'] / 1e12:.2f}",
                f"{flops['hmar_next_scale_only'] / 1e12:.2f}",
                f"{flops['hmar'] / 1e12:.2f} ({row['passes']})",
                f"{100 * row['training_attention']['var']:.1f}",
                f"{100 * row['training_attention']['hmar']:.1f}",
            ]
        )
    head = ["model", "VAR weights GB", "HMAR weights GB", "VAR KV MB", "HMAR KV MB"]
    head += ["HMAR largest scale in a layer MB", "images until HMAR needs less"]
    head += ["VAR TFLOP", "HMAR TFLOP without masked passes", "HMAR TFLOP (passes)"]
    head += ["VAR pairs in training %", "HMAR pairs %"]
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--limit", type=int, default=304, help="images of trained pairs, and of others"
    )
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each configuration")
    parser.add_argument("--cells", type=Path, default=Path("runs/hmar_cells.jsonl"))
    args = parser.parse_args()
    sizes = [counted(*size) for size in FULL_SIZE]
    cost = costs(args.repeats)
    cells = quality(args)
    lines = {
        key: [(float(n), cells[name][key]) for n, name in CURVE.items()]
        for key in ("class", "style", "both")
    }
    line_chart("HMAR: passes a scale against quality", ("passes", "share"), lines).save(
        FOLDER / "hmar_steps.png", optimize=True
    )
    text = "\n\n".join(
        (
            "## Embedded models",
            embedded_tables(cells, cost),
            PICTURE.format(SHOWN),
            CHART,
            NOTES.format(cells["VAR"]["images"], cells["VAR"]["unseen_images"], REAL),
            "## Published sizes",
            full_size_tables(sizes),
            SIZES,
        )
    )
    data = {"quality": cells, "cost": cost, "full_size": sizes}
    print(write("hmar", "HMAR against VAR", data, text))


PICTURE = (
    "![{} pairs of class and style, not selected. From top to bottom: VAR; VAR with its history "
    "taken away; HMAR without masked passes; with the published passes; with 4 passes a scale]"
    "(hmar.png)"
)
CHART = "![Class, style and both right against passes a scale](hmar_steps.png)"
NOTES = (
    "Class and style are the shares of pictures that the judge names right, over {} pictures of "
    "trained pairs and {} of unseen ones (one picture is one part in that many). Frechet is the "
    "squared Frechet distance of the judge's features to those of {} real pictures; it is biased "
    "upwards alike for all rows. Ratios are to VAR, medians of runs taken in turns. KV is what is "
    "held between scales, float32, with guidance."
)
SIZES = (
    "Counted for one image with guidance, float16, transformer only. HMAR has more weights (eight "
    "blocks and the head exist twice), so it needs less memory only from some images at once on; "
    "that number is the extra weights over the cache of one image. 512 and 1024 px are the "
    "schedules of the authors' benchmark; no weights of these sizes were published. Pairs are the "
    "tokens that see each other in a training pass, as a share of all pairs."
)

if __name__ == "__main__":
    main()
