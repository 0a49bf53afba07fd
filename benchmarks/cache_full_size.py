"""KV bytes of published sizes under every cache policy, counted without numbers: exact, no GPU.

python benchmarks/cache_full_size.py

Policies run on tensors that have shapes but no memory. Those that want a calibration get the one
that ships for the model, else one with made-up attention (every head and layer different), which
decides where entries are kept, not how many in all.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from cache import FIXED, POLICIES, wanted
from report import table, write

from var_spaces import methods
from var_spaces.cache.calibration import FOLDERS_VARIABLE, Calibration
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import Card, get_card
from var_spaces.zoo.estimate import kv_bytes
from var_spaces.zoo.manifest import build

MODELS = ("var-d30", "infinity-2b", "infinity-8b")
BUDGETS = (0.04, 0.1, 0.2, 0.3, 0.5)
ROWS = 2  # one image with guidance
HALF = torch.float16
ENTRY = 2 * HALF.itemsize  # bytes of one key and one value number
# Published: (model, budget) -> MiB of history of 8 images, 6 bytes per number of key and value.
SCALEKV = {
    ("infinity-2b", 1.0): 38550,
    ("infinity-2b", 0.2): 7800,
    ("infinity-2b", 0.1): 3900,
    ("infinity-2b", 0.04): 1590,
    ("infinity-8b", 1.0): 84328,
    ("infinity-8b", 0.2): 17062,
    ("infinity-8b", 0.1): 8531,
    ("infinity-8b", 0.04): 3478,
}
# The budgets of that table in entries; its percentages are rounded.
ENTRIES = {1.0: 6425, 0.2: 1300, 0.1: 650, 0.04: 265}


def made_up(card: Card, layers: int, heads: int) -> Calibration:
    """A calibration in which every layer and head is different."""
    draw = random.Random(card.id)
    scales = range(card.schedule.num_scales)

    def masses(scale: int) -> list[float]:
        weights = [draw.random() for _ in range(scale + 1)]
        return [weight / sum(weights) for weight in weights]

    return Calibration(
        model=f"{card.id}-made-up",
        source="made up",
        layers=layers,
        heads=heads,
        sizes=card.schedule.sizes,
        samples=1,
        current=[[draw.random() for _ in range(layers)] for _ in scales],
        history_top=[[draw.random() for _ in range(layers)] for _ in scales],
        column_variance=[[draw.random() for _ in range(heads)] for _ in range(layers)],
        mass=[[[masses(k) for k in scales] for _ in range(heads)] for _ in range(layers)],
    )


def settings(schedule: ScaleSchedule) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Label, budget and parameters of what is counted."""
    yield "full", 1.0, {"name": "full"}
    for name, policy in FIXED.items():
        yield name, 1.0, policy
    for name, policy in POLICIES.items():
        for budget in BUDGETS:
            yield name, budget, wanted(policy, budget, schedule)


def count(model: str) -> list[dict[str, Any]]:
    """Bytes of every policy for one guided image in float16."""
    card = get_card(model)
    backbone, schedule = build(card), card.schedule
    layers, heads, _ = backbone.kv_layout()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        made_up(card, layers, heads).write(Path(folder))
        for name, budget, asked in settings(schedule):
            released = "scalekv" in asked.values() and model != "var-d30"
            os.environ[FOLDERS_VARIABLE] = "" if released else folder
            policy = methods.parse("cache", asked)
            kept, peak = kv_bytes({"": backbone}, policy, schedule, {"": ROWS}, HALF)
            found.append({"model": model, "policy": name, "budget": budget})
            found[-1] |= {"history": kept[-2], "peak": peak}
            print(*found[-1].values(), flush=True)
    return found


def published(model: str) -> list[dict[str, Any]]:
    """The memory table of ScaleKV beside what its policy holds here."""
    card = get_card(model)
    backbone, schedule = build(card), card.schedule
    rows = []
    for (name, budget), wanted_mib in SCALEKV.items():
        if name != model:
            continue
        exact = ENTRIES[budget] / schedule.offsets[-2]
        policy = methods.parse("cache", {"name": "scalekv", "budget": exact})
        kept, _ = kv_bytes({"": backbone}, policy, schedule, {"": 8 * ROWS}, HALF)
        ours = kept[-2] * 6 / ENTRY / 2**20
        rows.append({"model": model, "budget": budget, "published": wanted_mib, "ours": ours})
    return rows


def page(found: list[dict[str, Any]], beside: list[dict[str, Any]]) -> str:
    full = {c["model"]: c for c in found if c["policy"] == "full"}
    rows = [
        [
            c["model"],
            c["policy"],
            f"{c['budget']:.0%}",
            *(
                f"{c[part] / 2**20:.1f} ({c[part] / full[c['model']][part]:.1%})"
                for part in ("history", "peak")
            ),
        ]
        for c in found
    ]
    theirs = [
        [r["model"], f"{r['budget']:.0%}", r["published"], f"{r['ours']:.1f}"] for r in beside
    ]
    return (
        "One image with guidance, float16. History is what the last scale looks back on, peak the "
        "largest sum of buffers while a scale is drawn. The last scale is almost 40 % of all "
        "tokens; a full cache holds them in every layer, a policy in the layer that is running "
        "only. In brackets: of the full cache.\n\n"
        + table(("model", "policy", "budget", "history MiB", "peak MiB"), rows)
        + "\n\n## The published table of ScaleKV\n\nIt counts the history alone, for 8 guided "
        "images, with keys in float32 and values in bfloat16 (6 bytes).\n\n"
        + table(("model", "budget", "published MiB", "ours MiB"), theirs)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    args = parser.parse_args()
    found = [cell for model in args.models for cell in count(model)]
    beside = [row for model in args.models for row in published(model)]
    data = {"bytes": found, "scalekv": beside}
    print(write("cache_full_size", "Cache policies at full size", data, page(found, beside)))


if __name__ == "__main__":
    main()
