"""One FlexVAR model at many sizes and numbers of steps, and what it does to a picture.

Draws one class at six sizes and three numbers of steps, measures how often the judge names class
and style against the number of steps, and edits a picture that training never showed.

    python benchmarks/flexvar.py --per-class 1
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from classes import JUDGE, accuracy, pairs
from PIL import Image
from report import table, write

import var_spaces
from var_spaces.decoding.loop.pixels import to_uint8
from var_spaces.evaluators.judge import load_judge
from var_spaces.steps import resized
from var_spaces.training.images.charts import line_chart
from var_spaces.training.images.sources import SceneSource

PICTURES = Path(__file__).parents[1] / "docs" / "flexvar"
SIZES = (
    (64, 64),
    (80, 56),
    (48, 88),
    (64, 96),
    (96, 96),
    (128, 128),
)  # the last two: beyond training
STEPS = (4, 6, 8)
CURVE = (2, 3, 4, 6, 8)
SETTING = {"guidance": 2.5, "top_k": 100, "top_p": 0.95}
MIDDLE = (0.25, 0.25, 0.75, 0.75)


def sheet(rows: list[list[Image.Image]], gap: int = 6) -> Image.Image:
    """Pictures of different sizes in rows and columns on white."""
    widths = [max(row[c].width for row in rows) for c in range(len(rows[0]))]
    heights = [max(picture.height for picture in row) for row in rows]
    size = (sum(widths) + gap * (len(widths) + 1), sum(heights) + gap * (len(heights) + 1))
    canvas, y = Image.new("RGB", size, "white"), gap
    for row, height in zip(rows, heights, strict=True):
        x = gap
        for picture, width in zip(row, widths, strict=True):
            canvas.paste(picture, (x + (width - picture.width) // 2, y))
            x += width + gap
        y += height + gap
    return canvas


def sizes(model: str, label: str, style: str) -> Image.Image:
    """One class: a column per size, a row per number of steps, all with one seed."""
    common = {"model": model, "class_": label, "style": style, "seed": 3}
    rows = [
        [var_spaces.generate(**common, width=w, height=h, steps=steps)[0] for w, h in SIZES]
        for steps in STEPS
    ]
    return sheet(rows)


def curve(model: str, count: int) -> list[dict[str, Any]]:
    """Accuracy of the judge at 64 px against the number of steps; trained pairs in label order."""
    loaded = var_spaces.load(model)
    judge, judged = load_judge(JUDGE)
    labels = pairs(loaded.card, "train")
    first = torch.tensor([(labels[:, 0] == c).nonzero()[0, 0] for c in labels[:, 0].unique()])
    own = loaded.card.architecture["patch_nums"]
    rows = []
    for steps in CURVE:
        schedule = resized(own, own[-1], own[-1], steps)
        setting = {**SETTING, "schedule": schedule}
        found = accuracy(loaded, judge, judged, labels[first], count, setting)
        sides = " ".join(str(h) for h, _ in schedule.sizes)
        rows.append({"steps": steps, "sides": sides, "tokens": schedule.total, **found})
        print(rows[-1], flush=True)
    return rows


def edits(model: str) -> tuple[Image.Image, dict[str, int]]:
    """Before and after of every kind of edit, and how many pixels changed that had to stay."""
    source = SceneSource("easy", 64, torch.device("cpu"))
    picture = to_uint8(source.probes(8)["unseen_easy"][5:6])[0]
    small = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BOX))
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    common = {"model": model, "task": "edit", "image": picture, "composite": True, "seed": 1}
    painted = var_spaces.generate(**common, rectangle=MIDDLE)[0]
    around = var_spaces.generate(**common, rectangle=MIDDLE, mode="out-painting")[0]
    wide = {"mode": "expansion", "rectangle": (0.0, 0.25, 1.0, 0.75), "width": 128}
    expanded = var_spaces.generate(**common, **wide)[0]
    refined = var_spaces.generate(model=model, task="refine", image=small, keep=0, seed=1)[0]
    changed = {
        "in-painting": int((np.asarray(painted) != picture)[~inside].sum()),
        "out-painting": int((np.asarray(around) != picture)[inside].sum()),
        "expansion": int((np.asarray(expanded)[:, 32:96] != picture).sum()),
    }
    before = Image.fromarray(picture)
    pair = [before, painted, around, expanded, Image.fromarray(small), refined]
    return sheet([pair]), changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="flexvar")
    parser.add_argument("--class", dest="label", default="sun")
    parser.add_argument("--style", default="flat")
    parser.add_argument("--per-class", type=int, default=1, help="images per class and point")
    args = parser.parse_args()

    PICTURES.mkdir(parents=True, exist_ok=True)
    sizes(args.model, args.label, args.style).save(PICTURES / "sizes.png")
    picture, changed = edits(args.model)
    picture.save(PICTURES / "edits.png")
    rows = curve(args.model, args.per_class)
    points = {key: [(row["steps"], row[key]) for row in rows] for key in ("class", "style")}
    chart = line_chart("Named right by the judge", ("steps", "share"), points, y=(0, 1))
    chart.save(PICTURES / "steps.png")

    head = ("steps", "sides", "tokens", "images", "class", "style", "both")
    text = table(head, [[row[key] for key in head] for row in rows])
    text += "\n\n![Share named right against steps](../flexvar/steps.png)\n\nPixels outside the "
    text += "painted part that changed when asked to composite: "
    text += ", ".join(f"{name} {count}" for name, count in changed.items()) + "."
    data = {"steps": rows, "changed": changed, "sizes": SIZES, "grid_steps": STEPS}
    print(write("flexvar", "FlexVAR: sizes, steps, edits", data, text))


if __name__ == "__main__":
    main()
