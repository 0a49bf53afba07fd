"""Every cache policy at several budgets against the full cache, on the same seeds.

    python benchmarks/cache.py --models var-small --images 32

A budget is entries per head as a share of the tokens of all scales but the last, for every policy
(HACK's own share is of all tokens and is converted). Finished cells are kept in ``--cells`` and not
run again. Calibrate the models first: ``python -m var_spaces calibrate MODEL``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from cache_page import page
from image_metrics import frechet, psnr, ssim
from report import FOLDER, write

from var_spaces import api, methods
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.setup import RunSetup
from var_spaces.events import ScaleDone
from var_spaces.tasks.plan import plan
from var_spaces.training.images.charts import line_chart
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import ZOO

PROMPTS = (
    "a red apple",
    "a penguin",
    "a house",
    "a rocket",
    "a frog",
    "a crown",
    "a fish",
    "a bus",
)
BUDGETS = (0.04, 0.1, 0.2, 0.3, 0.5)
POLICIES: dict[str, dict[str, Any]] = {
    "sliding window": {"name": "sliding-window"},
    "random": {"name": "random"},
    "StreamingLLM": {"name": "streaming-llm"},
    "H2O": {"name": "h2o"},
    "SnapKV": {"name": "snapkv"},
    "PyramidKV": {"name": "pyramidkv"},
    "ScaleKV": {"name": "scalekv"},
    "ScaleKV reference": {"name": "scalekv", "scoring": "reference"},
    "HACK": {"name": "hack"},
    "HACK swapped": {"name": "hack", "heads": "swapped"},
    "HACK++": {"name": "hack", "mode": "hack++"},
    "HACK++ seeing all": {"name": "hack", "mode": "hack++", "attention": 1.0},
    "HeatKV": {"name": "heatkv"},
}
FIXED = {
    "8 bit": {"name": "quantised", "bits": 8},
    "4 bit": {"name": "quantised", "bits": 4},
    "4 bit, ScaleKV 30 %": {
        "name": "quantised",
        "bits": 4,
        "policy": "scalekv",
        "policy_budget": 0.3,
    },
}


class Watched:
    """A cache policy whose caches can be asked for their peak afterwards."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.caches = policy, []

    def new_cache(self, *args: Any, **sizes: Any) -> Any:
        self.caches.append(self.policy.new_cache(*args, **sizes))
        return self.caches[-1]

    def session(self, *args: Any) -> Any:
        return self.policy.session(*args)


class Bench:
    """One model: runs of all images under a policy, free and along the tokens of the full cache."""

    def __init__(self, model: str, images: int, batch: int, seed: int) -> None:
        self.card, self.images, self.batch, self.seed = get_card(model), images, batch, seed
        self.loaded = ZOO.model(model)
        self.schedule = self.card.schedule
        self.free, self.pixels, *_ = self.run({"name": "full"})
        self.forced = self.run({"name": "full"}, self.free)[3]

    def setups(self, policy: dict[str, Any], tokens: list[torch.Tensor] | None) -> Iterator:
        """Runs of ``batch`` images with their policy and the logits they will have shown."""
        for first in range(0, self.images, self.batch):
            count = min(self.batch, self.images - first)
            settings = {"seed": self.seed, "first": first, "count": count, "cache": policy}
            planned = plan(api.make_spec(self.card.id, **settings, **self.asked(first))[0])
            watched, logits = Watched(planned.cache), []
            along = None if tokens is None else self._along(tokens, first, count)
            yield (
                watched,
                logits,
                RunSetup(
                    tokenizer=self.loaded.tokenizer,
                    backbone=self.loaded.backbone,
                    schedule=planned.schedule,
                    conditioning=planned.task.conditioning(self.card, count),
                    images=tuple(range(first, first + count)),
                    noise=SeededNoise(self.seed),
                    sampling=planned.sampling,
                    guidance=planned.guidance,
                    cache=watched,
                    decoding=planned.decoding,
                    substitution=along,
                    observe=None
                    if tokens is None
                    else lambda what, _, t, logits=logits: what == "logits" and logits.append(t),
                ),
            )

    def asked(self, first: int) -> dict[str, str]:
        """A class or a prompt per batch."""
        if self.card.classes:
            return {"class_": self.card.classes[first % len(self.card.classes)]}
        thing = PROMPTS[first // self.batch % len(PROMPTS)]
        return {"prompt": f"{thing} on a white background"}

    def _along(self, tokens: list[torch.Tensor], first: int, count: int):
        def substitute(scale: int, ids: Any, codes: Any, images: Any) -> Any:
            ids = tokens[scale][first : first + count].to(ids.device)
            return ids, self.loaded.tokenizer.embed(ids)

        return substitute

    def run(self, policy: dict[str, Any], tokens: list[torch.Tensor] | None = None):
        """Ids per scale, images, (history bytes, peak bytes, seconds) per image, logits."""
        ids, pixels, history, peak, seconds = [], [], 0, 0, 0.0
        logits: list[list[torch.Tensor]] = []
        for watched, seen, setup in self.setups(policy, tokens):
            steps, events = loop.run(setup), []
            started = time.perf_counter()
            while True:
                try:
                    events.append(next(steps))
                except StopIteration as end:
                    ids.append(end.value)
                    break
            seconds += time.perf_counter() - started
            scales = [event for event in events if type(event) is ScaleDone]
            history = max(history, scales[-2].kv_bytes // len(setup.images))
            peak = max(peak, sum(c.peak_bytes for c in watched.caches) // len(setup.images))
            pixels += [torch.from_numpy(e.image) for e in events if type(e) is not ScaleDone]
            logits.append(seen)
        joined = [torch.cat(parts) for parts in zip(*ids, strict=True)]
        images = torch.stack(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        cost = {"history": history, "peak": peak, "seconds": seconds / self.images}
        return joined, images, cost, [torch.cat(p).cpu() for p in zip(*logits, strict=True)]

    @torch.no_grad()
    def cell(self, policy: dict[str, Any]) -> dict[str, Any]:
        """All numbers of one policy."""
        ids, images, cost, _ = self.run(policy)
        logits = self.run(policy, self.free)[3]
        equal = [(a == b).float().mean().item() for a, b in zip(ids, self.free, strict=True)]
        weights = [a.numel() for a in ids]
        kl = [_kl(full, ours) for full, ours in zip(self.forced, logits, strict=True)]
        features = [
            self.loaded.tokenizer.latent(x.to(self.loaded.device)).cpu()
            for x in (self.pixels, images)
        ]
        means = [f.mean((-2, -1)) for f in features]
        distance = (features[0] - features[1]).square().mean().sqrt() / features[0].std()
        total = sum(weights)
        return {
            "tokens": sum(e * w for e, w in zip(equal, weights, strict=True)) / total,
            "tokens_last": equal[-1],
            "kl": sum(k * w for k, w in zip(kl, weights, strict=True)) / total,
            "kl_per_scale": kl,
            "psnr": psnr(images, self.pixels).mean().item(),
            "ssim": ssim(images, self.pixels).mean().item(),
            "latent": distance.item(),
            "frechet": frechet(*means) if self.images > 2 else 0.0,
            **cost,
        }


def _kl(full: torch.Tensor, ours: torch.Tensor) -> float:
    """Mean KL(full || ours) in nats per token."""
    p, q = full.log_softmax(-1), ours.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def wanted(policy: dict[str, Any], budget: float, schedule: Any) -> dict[str, Any]:
    """A policy at a budget in the common unit."""
    if policy["name"] == "hack":
        budget = budget * schedule.offsets[-2] / schedule.total
    return {**policy, "budget": budget}


def cells(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All cells, from the file or run now."""
    args.cells.parent.mkdir(parents=True, exist_ok=True)
    lines = args.cells.read_text().splitlines() if args.cells.is_file() else []
    known = {json.dumps(cell["key"], sort_keys=True): cell for cell in map(json.loads, lines)}
    found = []
    for model in args.models:
        bench, card = None, get_card(model)
        todo = [("full", 1.0, {"name": "full"})]
        todo += [(name, 1.0, p) for name, p in FIXED.items()]
        for name, policy in POLICIES.items():
            todo += [(name, b, wanted(policy, b, card.schedule)) for b in args.budgets]
        for name, budget, policy in todo:
            if args.policies and name not in args.policies:
                continue
            key = {
                "model": model,
                "weights": card.weights_sha256,
                "images": args.images,
                "seed": args.seed,
                "cache": methods.dump(methods.parse("cache", policy)),
            }
            cell = known.get(json.dumps(key, sort_keys=True))
            if cell is None:
                bench = bench or Bench(model, args.images, args.batch, args.seed)
                cell = {"key": key, "model": model, "policy": name, "budget": budget}
                cell |= bench.cell(policy)
                with open(args.cells, "a") as file:
                    file.write(json.dumps(cell) + "\n")
                print(model, name, budget, f"PSNR {cell['psnr']:.1f}", flush=True)
            found.append(cell)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["var-small", "var-base", "t2i-bit"])
    parser.add_argument("--budgets", nargs="+", type=float, default=BUDGETS)
    parser.add_argument("--policies", nargs="+", help="labels of the table (default: all)")
    parser.add_argument("--images", type=int, default=16, help="images per cell")
    parser.add_argument("--batch", type=int, default=8, help="images of one class per batch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=Path, default=Path("runs/cache_cells.jsonl"))
    parser.add_argument("--page", default="cache", help="name of the page in docs/results")
    args = parser.parse_args()
    found = cells(args)
    text = page(found)
    for model in args.models:
        series = {
            name: [
                (c["history"] / 1024, c["psnr"])
                for c in found
                if (c["model"], c["policy"]) == (model, name)
            ]
            for name in POLICIES
        }
        series = {name: points for name, points in series.items() if len(points) > 1}
        if series:
            FOLDER.mkdir(parents=True, exist_ok=True)
            chart = line_chart(f"{model}: history against PSNR", ("kB", "dB"), series)
            chart.save(FOLDER / f"cache_{model}.png", optimize=True)
            text += f"\n![{model}](cache_{model}.png)\n"
    print(write(args.page, "Cache policies", found, text))


if __name__ == "__main__":
    main()
