"""Searches among candidates: does more compute draw more of what a prompt says?

    python benchmarks/search.py --per-category 8

Candidates are chosen by the embedded CLIP; the result is judged by the scene parser, which no
search sees. Compute counts drawn tokens as a multiple of one plain image. A search is held against
one picture per prompt and TTS-VAR against the best of as many pictures as cost the same, prompt by
prompt and seed by seed; intervals are 95 % over prompts, category by category (bootstrap). Finished
cells are kept in ``--cells`` and belong to the weights of the model, its tokenizer, the parser and
CLIP: with others they are measured anew.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from report import FOLDER, fingerprint, table, write

from leaderboard.metrics.bootstrap import grouped_interval
from var_spaces import methods
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.search.scoring import Asked
from var_spaces.decoding.setup import RunSetup
from var_spaces.evaluators.claims import holds
from var_spaces.evaluators.clip import embedded
from var_spaces.evaluators.compose import OVERALL, Prompt, read_prompts, score
from var_spaces.evaluators.parser import embedded_parser
from var_spaces.events import ImageReady, ScaleDone
from var_spaces.training.images.charts import line_chart
from var_spaces.training.images.text_samples import Prompts
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import ZOO

BATCH = 8  # prompts
TTS, BEST = {"name": "tts-var"}, {"name": "best-of-n"}
CASES: dict[str, dict[str, Any]] = {"plain": {"name": "plain"}}
for few, many in ((1, 2), (2, 4), (4, 8)):  # about equal compute
    CASES[f"TTS-VAR N={few}"] = {**TTS, "candidates": few}
    CASES[f"best of {many}"] = {**BEST, "candidates": many}
RIVALS = {f"TTS-VAR N={n}": f"best of {2 * n}" for n in (1, 2, 4, 8)}
CASES["importance sampling of 4"] = {"name": "importance-sampling", "candidates": 4}
CASES["TTS-VAR N=8"] = {**TTS, "candidates": 8}
CASES["best of 16"] = {**BEST, "candidates": 16}
CASES["TTS-VAR N=2, no clusters"] = {**TTS, "candidates": 2, "clustering": False}
CASES["TTS-VAR N=2, no resampling"] = {**TTS, "candidates": 2, "resampling": False}
HEAD = (
    "case",
    "compute",
    "composition",
    "95 %",
    "more than plain",
    "more than best of N",
    "CLIP reward",
    "CPU s / image",
)


def draw(decoding: dict[str, Any], prompts: list[Prompt], seed: int, model: str) -> dict[str, Any]:
    """Score, reward, tokens and time of one image per prompt."""
    loaded = ZOO.model(model)
    usual, schedule = loaded.card.defaults, loaded.backbone.schedule
    encoder = methods.parse("text_encoder", loaded.card.text_encoder).load("cpu")
    images, tokens, started = [], 0, time.process_time()
    for first in range(0, len(prompts), BATCH):
        texts = tuple(prompt.text for prompt in prompts[first : first + BATCH])
        setup = RunSetup(
            tokenizer=loaded.tokenizer,
            backbone=loaded.backbone,
            schedule=schedule,
            conditioning=Prompts(encoder, texts),
            images=tuple(range(first, first + len(texts))),
            noise=SeededNoise(seed),
            sampling=methods.parse("sampling", usual["sampling"]),
            guidance=methods.parse("guidance", usual["guidance"]),
            cache=methods.parse("cache", "full"),
            decoding=methods.parse("decoding", decoding),
            asked=tuple(Asked(text) for text in texts),
        )
        for event in loop.run(setup):
            match event:
                case ScaleDone():
                    tokens += event.rows * event.tokens
                case ImageReady():
                    images.append(event.image)
    seconds = (time.process_time() - started) / len(prompts)
    pictures = np.stack(images)
    seen = embedded_parser()(pictures)
    report = score(prompts, seen)
    matches = embedded().score(pictures, [prompt.text for prompt in prompts])
    return {
        "composition": report[OVERALL]["accuracy"],
        "right": [holds(p.caption, facts) for p, facts in zip(prompts, seen, strict=True)],
        "categories": {name: row["accuracy"] for name, row in report.items()},
        "reward": matches.mean().item() / 10,
        "compute": tokens / (schedule.total * len(prompts)),
        "seconds": seconds,
    }


def weights(model: str) -> str:
    """What the numbers of a cell depend on."""
    parts = [ZOO.model(name) for name in (model, get_card(model).tokenizer)]
    cards = embedded_parser().card, embedded().card
    return fingerprint(
        *(part.weights_sha256 for part in parts), *(card["weights_sha256"] for card in cards)
    )


def interval(values: np.ndarray, prompts: list[Prompt]) -> str:
    """The 95 % interval of the mean over categories of ``(seeds, prompts)``."""
    categories = np.array([prompt.category for prompt in prompts])
    each = values.mean(axis=0)
    low, high = grouped_interval([each[categories == name] for name in dict.fromkeys(categories)])
    return f"{low:.3f} to {high:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="t2i-refined")
    parser.add_argument("--per-category", type=int, default=8, help="prompts of every category")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", type=Path, default=Path("search_cells.jsonl"))
    parser.add_argument("--minutes", type=float, default=60, help="start no cell after these")
    args = parser.parse_args()
    limit = time.monotonic() + 60 * args.minutes
    prompts, seeds = read_prompts(args.per_category), range(1, args.seeds + 1)
    lines = args.cells.read_text("utf-8").splitlines() if args.cells.is_file() else []
    same = weights(args.model)
    kept = (c for c in map(json.loads, lines) if c["weights"] == same)
    cells = {(c["case"], c["seed"], c["prompts"]): c for c in kept}
    for name, decoding in CASES.items():
        for seed in seeds:
            key = (name, seed, len(prompts))
            if key in cells or time.monotonic() > limit:
                continue
            found = draw(decoding, prompts, seed, args.model)
            cells[key] = {"case": name, "seed": seed, "prompts": len(prompts), "weights": same}
            cells[key] |= found
            with open(args.cells, "a", encoding="utf-8") as file:
                file.write(json.dumps(cells[key]) + "\n")
            print(json.dumps(cells[key]), flush=True)
    wanted = {name: [(name, seed, len(prompts)) for seed in seeds] for name in CASES}
    whole = {
        name: [cells[k] for k in own] for name, own in wanted.items() if cells.keys() >= set(own)
    }
    right = {name: np.array([c["right"] for c in own], float) for name, own in whole.items()}

    def more(name: str, rival: str | None) -> str:
        if name == rival or rival not in right:
            return "-"
        difference = right[name] - right[rival]
        return f"{difference.mean():+.3f} ({interval(difference, prompts)})"

    rows, lines = [], {"TTS-VAR": [], "best of N": []}
    for name, own in whole.items():
        compute, middle, reward, seconds = (
            statistics.mean(c[k] for c in own)
            for k in ("compute", "composition", "reward", "seconds")
        )
        versus = more(name, "plain"), more(name, RIVALS.get(name))
        shown = interval(right[name], prompts)
        rows.append([name, compute, middle, shown, *versus, reward, seconds])
        for line, points in lines.items():
            if name == "plain" or (name.startswith(line.removesuffix("N")) and "," not in name):
                points.append((compute, middle))
    chart = line_chart(
        "Composition against compute", ("tokens drawn, plain = 1", "share of prompts right"), lines
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    chart.save(FOLDER / "search.png")
    text = (
        f"Model {args.model}, {len(prompts)} prompts, {args.seeds} seeds, the same for all. "
        "Composition: share of images of which every claim of the prompt is true for the scene "
        "parser, mean of the categories. The reward that searches see is the embedded CLIP's "
        f"(ten times the cosine).\n\n{table(HEAD, rows)}\n\n![Composition against compute]"
        "(search.png)"
    )
    print(write("search", "Searches among candidates", list(cells.values()), text))


if __name__ == "__main__":
    main()
