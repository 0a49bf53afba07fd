"""Does the text-to-image model draw what a prompt says? Judged by the scene parser and CLIP.

Frozen prompts with known truth, one image each, no selection. Beside every result stand chance,
the same pictures held against other prompts, and what the judges make of perfect pictures: the
scenes that the prompts were written for, and their reconstructions by the model's tokenizer.

    python benchmarks/compose.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from report import FOLDER, table, write
from torch import Tensor

import var_spaces
from var_spaces import methods
from var_spaces.evaluators.clip import embedded
from var_spaces.evaluators.compose import (
    OVERALL,
    Prompt,
    by_category,
    clip_scores,
    read_prompts,
    score,
)
from var_spaces.evaluators.parser import embedded_parser
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack
from var_spaces.training.data.render import render
from var_spaces.training.data.scene import Scene
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.text_samples import draw_prompts

GRID = 8  # prompts of each category in the picture
ROWS = (
    "easy", "object", "style", "unseen style", "background", "colour", "count", "two objects",
)  # fmt: skip


def draw(model: var_spaces.Model, prompts: Sequence[Prompt], seed: int) -> Tensor:
    """One image ``(3, H, W)`` per prompt with the settings of the model's card."""
    encoder = methods.parse("text_encoder", model.card.text_encoder).load("cpu")
    texts = [prompt.text for prompt in prompts]
    defaults = {kind: dict(model.card.defaults[kind]) for kind in ("sampling", "guidance")}
    return draw_prompts(model.tokenizer, model.backbone, encoder, texts, defaults, seed)


def real_scenes(prompts: Sequence[Prompt]) -> Tensor:
    """The scenes that the prompts were written for, ``(N, 3, H, W)`` in -1..1."""
    atlas = Atlas.load()
    return render(atlas, pack(atlas, [Scene.from_dict(prompt.scene) for prompt in prompts]))


@torch.no_grad()
def reconstructions(model: var_spaces.Model, pictures: Tensor) -> Tensor:
    """What the model's tokenizer makes of pictures, likewise."""
    soft = [model.tokenizer.reconstruct(part) for part in pictures.split(64)]
    return torch.cat(soft).clamp(-1, 1)


def sheet(prompts: Sequence[Prompt], images: Tensor, path: Path) -> None:
    """An 8x8 picture: the first prompts of a category make a row."""
    place = {id(prompt): index for index, prompt in enumerate(prompts)}
    groups = by_category(prompts)
    first = [place[id(prompt)] for name in ROWS for prompt in groups[name][:GRID]]
    grid(images[first], GRID, scale=2).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="t2i-refined")
    parser.add_argument("--per-category", type=int, default=20, help="prompts of each, up to 100")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", default="compose", help="name of the page in docs/results")
    args = parser.parse_args()

    prompts = read_prompts(args.per_category)
    model = var_spaces.load(args.model)
    real = real_scenes(prompts)
    images = {args.model: draw(model, prompts, args.seed), "real scenes": real}
    images["reconstructions"] = reconstructions(model, real)
    judge, clip = embedded_parser(), embedded()
    reports = {name: score(prompts, judge(pictures)) for name, pictures in images.items()}
    scores = {name: clip_scores(clip, pictures, prompts) for name, pictures in images.items()}

    picture = FOLDER / f"compose-{args.model}.png"
    sheet(prompts, images[args.model], picture)
    text = page(args.model, reports, scores)
    text += f"\n\n![{GRID} prompts of each category, unselected]({picture.name})\n\n"
    groups = by_category(prompts)
    text += table(
        ["row", "its prompts: the first of the category, unselected"],
        [[name, "; ".join(prompt.text for prompt in groups[name][:GRID])] for name in ROWS],
    )
    data = {"parser": reports, "clip": scores, "judged_by": {"parser": judge.card["metrics"]}}
    print(write(args.page, "Does the picture show what the prompt says?", data, text))


def page(model: str, reports: dict, scores: dict) -> str:
    """The numbers as Markdown tables."""
    own = reports[model]
    rows = [
        [
            name,
            own[name]["prompts"],
            *(own[name][key] for key in ("accuracy", "shuffled", "chance")),
            *(reports[kind][name]["accuracy"] for kind in ("real scenes", "reconstructions")),
        ]
        for name in own
    ]
    head = ["category", "prompts", model, "other prompts", "chance", "real scenes"]
    parts = [
        "Share of images of which every claim of the prompt is true, by the scene parser:",
        table([*head, "reconstructions"], rows),
        "Share of true claims by kind:",
        table(
            ["category", "claim", model, "real scenes", "reconstructions"],
            [
                [name, claim, *(report[name]["claims"][claim] for report in reports.values())]
                for name in own
                if name != OVERALL
                for claim in own[name]["claims"]
            ],
        ),
        "CLIP score by the embedded CLIP:",
        table(
            ["pictures", "own prompt", "other prompts of the category"],
            [[name, found["matched"], found["shuffled"]] for name, found in scores.items()],
        ),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
