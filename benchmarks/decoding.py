"""Decoding strategies side by side: quality, time and memory on the same classes and seeds.

    python benchmarks/decoding.py
    python benchmarks/decoding.py --lineup ten

Quality is the Frechet distance over features of the embedded CLIP between generated images and
real scenes (small N, so compare within this page only), the share that the embedded judge names
right, and the loss per scale on held-out scenes. Time is processor time of one thread, without the
decoder; rounds go over all cases in turn. Finished cells are kept in ``--cells`` and belong to the
weights they were measured with. Cases whose models are missing (``--models`` names their folder)
are left out. Full-size models are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from decoding_cost import Cost, full_size
from decoding_lineups import LINEUPS, Lineup
from decoding_page import page, pareto
from image_metrics import frechet
from report import FOLDER, fingerprint, write

from var_spaces import methods
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.backbone_run import BackboneRun
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.setup import RunSetup
from var_spaces.depth import sub_network
from var_spaces.evaluators.clip import embedded
from var_spaces.evaluators.folder import EVALUATORS, read_card
from var_spaces.evaluators.judge import hits, load_judge
from var_spaces.events import ImageReady, ScaleDone
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.losses.tokens import loss_per_scale, token_losses
from var_spaces.training.recipes.class_base import EVAL_SEED, ClassRecipe, ClassTraining
from var_spaces.zoo.cards import get_card, known
from var_spaces.zoo.residency import ZOO

BATCH, TIMED, ROUNDS = 32, 4, 3
CPU = torch.device("cpu")


def weights(model: str, decoding: dict[str, Any]) -> str:
    """What the numbers of a case depend on: its models, and who judges."""
    names = dict.fromkeys((model, decoding.get("refiner", model), get_card(model).tokenizer))
    judges = (read_card(EVALUATORS / name)["weights_sha256"] for name in ("judge", "clip"))
    return fingerprint(*(ZOO.model(name).weights_sha256 for name in names), *judges)


class Bench:
    """All cases of a line-up see the same classes, styles and seeds."""

    def __init__(self, images: int, lineup: Lineup) -> None:
        self.lineup, base = lineup, ZOO.model(lineup.base)
        self.recipe = ClassRecipe(
            base.tokenizer, ClassTraining(eval_images=64), 0, CPU, base.backbone
        )
        self.clip = embedded()
        self.judge, judged = load_judge(EVALUATORS / "judge")
        train = SceneSampler(self.recipe.atlas, replace(self.recipe.recipe, split="train"))
        drawn = train.batch(EVAL_SEED + 1, 0, 4 * images, CPU)
        real = render(self.recipe.atlas, drawn)
        self.real = self.clip.images(real)
        labels, styles = (x[:images] for x in train.labels(drawn))
        self.labels, self.styles = labels.tolist(), styles.tolist()
        card = base.card
        self.asked = [
            torch.tensor([list(names).index(own[i]) for i in given])
            for names, own, given in (
                (judged["classes"], card.classes, self.labels),
                (judged["styles"], card.styles, self.styles),
            )
        ]
        self.losses: dict[tuple[str, int], list[float]] = {}

    def setup(self, model: str, decoding: dict[str, Any], first: int, count: int) -> RunSetup:
        method = methods.parse("decoding", decoding)
        loaded, usual = ZOO.model(model), get_card(self.lineup.base).defaults
        part = slice(first, first + count)
        return RunSetup(
            tokenizer=loaded.tokenizer,
            backbone=loaded.backbone,
            schedule=loaded.backbone.schedule,
            conditioning=ClassConditioning(tuple(self.labels[part]), tuple(self.styles[part])),
            images=tuple(range(first, first + count)),
            noise=SeededNoise(1),
            sampling=methods.parse("sampling", usual["sampling"]),
            guidance=methods.parse("guidance", usual["guidance"]),
            cache=methods.parse("cache", "full"),
            decoding=method,
            extra={name: ZOO.model(name).backbone for name in method.models},
        )

    def cell(self, model: str, decoding: dict[str, Any]) -> dict[str, Any]:
        """Quality and memory of one case."""
        images = []
        for first in range(0, len(self.labels), BATCH):
            count = min(BATCH, len(self.labels) - first)
            events = loop.run(self.setup(model, decoding, first, count))
            images += [event.image for event in events if isinstance(event, ImageReady)]
        pixels = torch.stack([torch.from_numpy(image) for image in images])
        pixels = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        right = hits(self.judge, pixels, *self.asked).float().mean(0).tolist()
        done = [
            event
            for event in loop.run(self.setup(model, decoding, 0, 1))
            if isinstance(event, ScaleDone)
        ]
        weights = {model, decoding.get("refiner", model)}
        return {
            "images": len(images),
            "frechet": frechet(self.clip.images(pixels), self.real),
            "class": right[0],
            "style": right[1],
            "nats": self.nats(model, decoding),
            "kv_bytes": max(event.kv_bytes for event in done),
            "parameters": sum(
                p.numel() for name in weights for p in ZOO.model(name).backbone.parameters()
            ),
        }

    def nats(self, model: str, decoding: dict[str, Any]) -> list[float]:
        """Loss per scale of whoever draws it, on ground-truth tokens."""
        blocks = len(ZOO.model(model).backbone.blocks)
        own = self.nats_of(model, decoding.get("depth", blocks))
        if "refiner" not in decoding:
            return own
        refiner = decoding["refiner"]
        other = self.nats_of(refiner, len(ZOO.model(refiner).backbone.blocks))
        return [*own[: decoding["drafted"]], *other[decoding["drafted"] :]]

    def nats_of(self, model: str, depth: int) -> list[float]:
        if (model, depth) not in self.losses:
            backbone = ZOO.model(model).backbone
            routing = {
                "blocks": sub_network(len(backbone.blocks), depth),
                "bridge": self.lineup.bridge,
            }
            losses = self.recipe.losses(backbone, "train", **routing)
            self.losses[model, depth] = loss_per_scale(losses, backbone.schedule)
        return self.losses[model, depth]

    @torch.no_grad()
    def probe(self) -> dict[str, list[float]]:
        """Loss per scale of the large model, untrained for it, with half of its blocks at some
        scales only (VARiant, §3)."""
        base = ZOO.model(self.lineup.untrained).backbone
        half = sub_network(len(base.blocks), len(base.blocks) // 2)
        train = SceneSampler(self.recipe.atlas, replace(self.recipe.recipe, split="train"))
        labels, styles, ids, tokens = self.recipe.batch(train, EVAL_SEED, 0, 64)
        inputs = [None, *tokens.split(base.schedule.lengths[1:], dim=1)]
        setup = replace(
            self.setup(self.lineup.base, {"name": "plain"}, 0, len(labels)),
            conditioning=ClassConditioning(tuple(labels.tolist()), tuple(styles.tolist())),
            images=tuple(range(len(labels))),
            guidance=LinearGuidance(scale=0.0),
        )
        found = {}
        for zone in [(), *((k, k + 1) for k in range(0, len(inputs), 2))]:
            run = BackboneRun(base, setup, setup.images)
            logits = [
                run.logits(run.advance(k, given, half if k in zone else None))
                for k, given in enumerate(inputs)
            ]
            losses = loss_per_scale(token_losses(torch.cat(logits, 1), ids), base.schedule)
            found["scales " + " and ".join(str(k + 1) for k in zone) if zone else "none"] = losses
        return found

    def seconds(self, model: str, decoding: dict[str, Any]) -> float:
        """Processor seconds per image of the scales."""
        count = min(TIMED, len(self.labels))
        steps, spent = loop.run(self.setup(model, decoding, 0, count)), 0.0
        try:
            while True:
                started = time.process_time()
                if not isinstance(next(steps), ScaleDone):
                    return spent / count
                spent += time.process_time() - started
        finally:
            steps.close()


def finished(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def keep(path: Path, cell: dict[str, Any]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(cell) + "\n")
    print(json.dumps(cell), flush=True)


def once(path: Path, what: str, measure: Callable[[], Any]) -> Any:
    """A result that no case has, kept with the cells."""
    if not any(what in cell for cell in finished(path)):
        keep(path, {what: measure()})
    return next(cell[what] for cell in finished(path) if what in cell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=96, help="generated images per case")
    parser.add_argument("--lineup", choices=LINEUPS, default="six", help="models by their scales")
    parser.add_argument("--models", default="", help="folder of further models")
    parser.add_argument("--cells", type=Path, default=Path("decoding_cells.jsonl"))
    parser.add_argument("--minutes", type=float, default=60, help="start no case after these")
    args = parser.parse_args()
    if args.models:
        os.environ["VAR_SPACES_MODELS"] = args.models
    limit = time.monotonic() + 60 * args.minutes
    lineup = LINEUPS[args.lineup]
    bench, wanted = Bench(args.images, lineup), lineup.cases()
    same = {name: weights(*case) for name, case in wanted.items()}
    cells = {
        c["case"]: c
        for c in finished(args.cells)
        if c.get("images") == args.images and c["weights"] == same.get(c["case"])
    }
    for name, case in wanted.items():
        if name not in cells and time.monotonic() < limit:
            cells[name] = {"case": name, "weights": same[name], **bench.cell(*case)}
            keep(args.cells, cells[name])
    cells = {name: cells[name] for name in wanted if name in cells}
    rounds: dict[str, list[float]] = {name: [] for name in cells}
    for _ in range(ROUNDS):
        for name, spent in rounds.items():
            spent.append(bench.seconds(*wanted[name]))
    for name, spent in rounds.items():
        cells[name] |= {"seconds": statistics.median(spent), "rounds": spent}
    probe = {}
    if lineup.untrained in known("generator"):
        probe = once(args.cells, f"probe {args.lineup}", bench.probe)
    counted = once(args.cells, "counted", lambda: {k: asdict(c) for k, c in full_size().items()})
    costs = {name: Cost(**cost) for name, cost in counted.items()}
    text = page(lineup, cells, probe, costs)
    FOLDER.mkdir(parents=True, exist_ok=True)
    pareto(lineup, cells).save(FOLDER / f"{lineup.page}.png")
    data = {"embedded": list(cells.values()), "probe": probe, "full_size": counted}
    print(write(lineup.page, lineup.title, data, text))


if __name__ == "__main__":
    main()
