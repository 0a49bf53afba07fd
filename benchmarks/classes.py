"""How often a classifier that was trained apart names class and style of generated images.

Trained and unseen (class, style) pairs are reported apart, beside the judge's ceiling on real
pictures and on the tokenizer's reconstructions of them, and beside chance.

    python benchmarks/classes.py --per-pair 4
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from report import FOLDER, table, write
from torch import Tensor

import var_spaces
from var_spaces.evaluators.judge import hits, load_judge
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.sampler import atlas_splits
from var_spaces.training.images.samples import generate

JUDGE = Path(__file__).parents[1] / "assets" / "evaluators" / "judge"
SETTINGS = [
    {"guidance": 0.0, "top_k": 0, "top_p": 0.0},
    {"guidance": 1.5, "top_k": 0, "top_p": 0.96},
    {"guidance": 2.5, "top_k": 100, "top_p": 0.95},
    {"guidance": 4.0, "top_k": 100, "top_p": 0.9},
]


HEAD = ("model", "split", "guidance", "top_k", "top_p", "images", "class", "style", "both")


def earlier() -> list[dict]:
    """Rows of the last run; a run replaces those of its own models only."""
    path = FOLDER / "classes.json"
    return json.loads(path.read_text("utf-8"))["results"]["generated"] if path.is_file() else []


def pairs(card, split: str) -> Tensor:
    """(P, 2) class and style labels of a split, in the label order of a card."""
    splits = atlas_splits(Atlas.load())
    found = [
        (label, style)
        for label, concept in enumerate(card.classes)
        for style, word in enumerate(card.styles)
        if splits.split_of(concept, word) == split
    ]
    return torch.tensor(found)


def translate(labels: Tensor, names: Sequence[str], known: Sequence[str]) -> Tensor:
    """Labels of one list of names as labels of another."""
    return torch.tensor([list(known).index(name) for name in names])[labels]


def accuracy(model, judge, judged: dict, labels: Tensor, per_pair: int, setting: dict) -> dict:
    """Share of images (0..1) whose class, style and both are named right."""
    many = labels.repeat_interleave(per_pair, 0)
    images = generate(
        model.tokenizer,
        model.backbone,
        many[:, 0].tolist(),
        many[:, 1].tolist(),
        sampling={"top_k": setting["top_k"], "top_p": setting["top_p"]},
        guidance=setting["guidance"],
        schedule=setting.get("schedule"),
    )
    classes = translate(many[:, 0], model.card.classes, judged["classes"])
    styles = translate(many[:, 1], model.card.styles, judged["styles"])
    parts = zip(images.split(64), classes.split(64), styles.split(64), strict=True)
    right = torch.cat([hits(judge, *part) for part in parts])
    return {
        "images": len(many),
        "class": right[:, 0].float().mean().item(),
        "style": right[:, 1].float().mean().item(),
        "both": right.all(1).float().mean().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["var-small", "var-base"])
    parser.add_argument("--per-pair", type=int, default=4, help="images per (class, style) pair")
    args = parser.parse_args()

    judge, card = load_judge(JUDGE)
    results = [row for row in earlier() if row["model"] not in args.models]
    for name in args.models:
        model = var_spaces.load(name)
        for setting in SETTINGS:
            for split in ("train", "unseen_pairs"):
                labels = pairs(model.card, split)
                per_pair = args.per_pair if split == "train" else args.per_pair * 4
                found = accuracy(model, judge, card, labels, per_pair, setting)
                results.append({"model": name, "split": split, **setting, **found})
                print(json.dumps(results[-1]), flush=True)
    rows = [[row[key] for key in HEAD] for row in results]
    ceiling = card["metrics"]
    text = table(HEAD, rows)
    text += "\n\n" + table(
        ["reference", "class", "style"],
        [
            ["real pictures", ceiling["concept_accuracy_real"], ceiling["style_accuracy_real"]],
            [
                "reconstructions",
                ceiling["concept_accuracy_reconstructed"],
                ceiling["style_accuracy_reconstructed"],
            ],
            ["chance", 1 / len(card["classes"]), 1 / len(card["styles"])],
        ],
    )
    data = {"generated": results, "ceiling": ceiling}
    print(write("classes", "Can a classifier name what was drawn?", data, text))


if __name__ == "__main__":
    main()
