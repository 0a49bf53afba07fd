"""Is an edit done, and is the rest kept? Frozen pairs with known truth, one image each, unselected.

Beside the models stand copies of the source, what a text model makes of a caption of the target
without seeing the source, and the ceilings: the true targets, and their reconstructions by the
tokenizer.

    python benchmarks/instruct.py --model MODEL
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from report import FOLDER, table, write

import var_spaces
from leaderboard import edit_pairs
from leaderboard.metrics.edit_done import OPERATIONS
from var_spaces.evaluators.claims import Facts
from var_spaces.evaluators.edits import RESIZING, Pair, done, kept_psnr, kept_ssim, nearer
from var_spaces.evaluators.parser import embedded_parser
from var_spaces.tasks.instruct import Instruct
from var_spaces.training.images.pictures import grid
from var_spaces.zoo.cards import get_card

SHOWN = 6  # pairs of each operation in the picture


def reconstructed(images: np.ndarray, tokenizer: torch.nn.Module) -> np.ndarray:
    """What a tokenizer makes of ``(B, H, W, 3)`` uint8."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        soft = torch.cat([tokenizer.reconstruct(part) for part in pixels.split(64)])
    return soft.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()


def edited(model: str, numbers: Sequence[int], seed: int) -> dict[str, np.ndarray]:
    """One picture per pair by name of the row: as the model's card has it, and as it was drawn
    where the card keeps what hardly changed."""
    pairs, sources, found = edit_pairs.pairs(), edit_pairs.sources(), []
    for n in numbers:
        (image,) = var_spaces.generate(
            model=model, image=sources[n], instruction=pairs[n].instruction, seed=seed, restore=0.0
        )
        found.append(np.asarray(image))
    drawn = np.stack(found)
    usual = get_card(model).usual_inputs("instruct")
    if not usual.get("restore"):
        return {f"`{model}`": drawn}
    any_ = "0" * 64  # the name of whichever picture
    task = Instruct(**usual, source=any_, instruction=pairs[numbers[0]].instruction)
    pictures = zip(drawn, sources[list(numbers)], strict=True)
    kept = [task.finish(image, {any_: source}) for image, source in pictures]
    return {f"`{model}`": np.stack(kept), f"`{model}`, all as drawn": drawn}


def captioned(model: str, numbers: Sequence[int], seed: int) -> np.ndarray:
    """One picture per caption of a target."""
    prompts = [edit_pairs.pairs()[n].caption for n in numbers]
    images = [var_spaces.generate(model=model, prompt=text, seed=seed)[0] for text in prompts]
    return np.stack([np.asarray(image) for image in images])


def judged(images: np.ndarray, numbers: Sequence[int], facts: Sequence[Facts]) -> dict[str, list]:
    """Done, nearer, kept (PSNR, SSIM) of every picture."""
    pairs, sources = edit_pairs.pairs(), edit_pairs.sources()
    targets, masks = edit_pairs.truth()
    rows: dict[str, list] = {"done": [], "nearer": [], "psnr": [], "ssim": []}
    for image, n, seen in zip(images, numbers, facts, strict=True):
        close = nearer(image, sources[n], targets[n], masks[n])
        right = done(pairs[n], seen) and (close or pairs[n].operation not in RESIZING)
        values = (right, close, kept_psnr(image, sources[n], masks[n]))
        for name, value in zip(
            rows, (*values, kept_ssim(image, sources[n], masks[n])), strict=True
        ):
            rows[name].append(value)
    return rows


def mean(values: Sequence[float], chosen: Sequence[bool]) -> float:
    part = np.array(values, np.float64)[np.array(chosen)]
    part = part[np.isfinite(part)]
    return float(part.mean()) if len(part) else float("nan")


def report(rows: dict[str, dict[str, list]], pairs: Sequence[Pair]) -> str:
    """Tables: all operations together, done by operation, done by split."""
    every = [True] * len(pairs)
    whole = [
        [name, *(f"{mean(row[key], every):.2f}" for key in ("done", "nearer", "psnr", "ssim"))]
        for name, row in rows.items()
    ]
    by_operation = [
        [
            name,
            *(f"{mean(row['done'], [p.operation == o for p in pairs]):.2f}" for o in OPERATIONS),
        ]
        for name, row in rows.items()
    ]
    splits = list(dict.fromkeys(pair.split for pair in pairs))
    by_split = [
        [name, *(f"{mean(row['done'], [p.split == s for p in pairs]):.2f}" for s in splits)]
        for name, row in rows.items()
    ]
    return "\n\n".join(
        (
            table(["pictures", "done", "nearer", "kept, dB", "kept, SSIM"], whole),
            "Done, by operation:\n\n" + table(["pictures", *OPERATIONS], by_operation),
            "Done, by what is unseen:\n\n"
            + table(["pictures", *(s.replace("_", " ") for s in splits)], by_split),
        )
    )


def sheet(images: np.ndarray, numbers: Sequence[int], path: Path) -> None:
    """Source, edit and truth of the first pairs of every operation, a row for each operation."""
    pairs, targets = edit_pairs.pairs(), edit_pairs.truth()[0]
    place = {n: i for i, n in enumerate(numbers)}
    tiles = []
    for operation in OPERATIONS:
        mine = [n for n in numbers if pairs[n].operation == operation][:SHOWN]
        for n in mine:
            tiles += [edit_pairs.sources()[n], images[place[n]], targets[n]]
    pixels = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float() / 127.5 - 1
    grid(pixels, 3 * SHOWN).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="*", default=[], help="models that edit")
    parser.add_argument(
        "--text", default="t2i-refined", help="model that draws captions of targets"
    )
    parser.add_argument("--models", type=Path, help="folder of further models")
    parser.add_argument("--every", type=int, default=1, help="only every N-th pair")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.models:
        os.environ["VAR_SPACES_MODELS"] = str(options.models)
    numbers = list(range(0, len(edit_pairs.pairs()), options.every))
    pairs = [edit_pairs.pairs()[n] for n in numbers]
    targets = edit_pairs.truth()[0][numbers]
    tokenizer = var_spaces.load([*options.model, options.text][0]).tokenizer
    images = {
        "true targets": targets,
        "targets after the tokenizer": reconstructed(targets, tokenizer),
        "copies of the source": edit_pairs.sources()[numbers],
        f"`{options.text}` from a caption": captioned(options.text, numbers, options.seed),
    }
    for model in options.model:
        images |= edited(model, numbers, options.seed)
    parsed = embedded_parser()
    rows = {name: judged(found, numbers, parsed(list(found))) for name, found in images.items()}
    text = report(rows, pairs)
    if options.model:
        picture = FOLDER / "instruct.png"
        sheet(images[f"`{options.model[0]}`"], numbers, picture)
        text += f"\n\n![source, edit, truth: the first pairs of every operation]({picture.name})"
    data = {
        name: {key: [float(v) if np.isfinite(v) else None for v in row[key]] for key in row}
        for name, row in rows.items()
    }
    print(write("instruct", "Editing by instruction", data, text))


if __name__ == "__main__":
    main()
