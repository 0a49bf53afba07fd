"""Frozen pairs of the check of editing, the same pictures and instructions for everybody.

    python -m var_spaces.training.data.frozen_edits --out assets/atlas/edit_pairs.json

writes them again. They are kept as records rather than as a seed, so that no later change of
sampler or wordings can change them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from var_spaces.evaluators.edits import RESIZING, Pair, dump
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.captions import CaptionRecipe, CaptionWriter
from var_spaces.training.data.edits import SPLITS, WEIGHTS, Edit, EditSampler, render_edits
from var_spaces.training.data.frozen_prompts import facts_of
from var_spaces.training.data.recipes import COMPOSED
from var_spaces.training.data.scene import Scene

SEED = 7_000_200  # and following ones; never a training seed
PER_SPLIT = 12
DRAWN = 3000  # pairs of an operation that are chosen from
VISIBLE = 0.15  # root mean square of a change, in [-1, 1], that counts as one
FULL = CaptionRecipe(background=1, style=1, place=1, colour=1, synonym=0)


def make_pairs(atlas: Atlas) -> list[Pair]:
    """Up to ``PER_SPLIT`` pairs for every operation and split."""
    writer = CaptionWriter(atlas, FULL)
    pairs = []
    for seed, operation in enumerate(WEIGHTS, SEED):
        # Where the operation makes no sense another one is drawn, and left out below.
        weights = {operation: 1.0} | ({} if operation == "background" else {"background": 1e-9})
        recipe = replace(COMPOSED, split="all")
        if operation == "two":
            weights = {**WEIGHTS, "two": 1e9}
        sampler = EditSampler(atlas, recipe, weights, held_out=True)
        drawn = [edit for edit in sampler.batch(seed, 0, DRAWN) if edit.operation == operation]
        chosen = _chosen(atlas, sampler, drawn)
        for split, edits in chosen.items():
            captions = writer.batch([edit.target for edit in edits], seed, 0)
            pairs += [
                Pair(
                    operation,
                    split,
                    edit.instruction,
                    caption.text,
                    facts_of(edit.source),
                    facts_of(edit.target),
                    json.loads(edit.source.to_json()),
                    json.loads(edit.target.to_json()),
                )
                for edit, caption in zip(edits, captions, strict=True)
            ]
    return pairs


def _chosen(atlas: Atlas, sampler: EditSampler, edits: Sequence[Edit]) -> dict[str, list[Edit]]:
    """The first pairs of every split that change something to be seen and to be checked."""
    found: dict[str, list[Edit]] = {split: [] for split in SPLITS}
    for edit in edits:
        group = found[sampler.split_of(edit)]
        if len(group) < PER_SPLIT and _checkable(edit) and _visible(atlas, edit):
            group.append(edit)
    return found


def _checkable(edit: Edit) -> bool:
    """Whether facts tell the scenes apart: a change of size in a sentence of two is none."""
    return not (edit.operation == "two" and set(edit.combination) & set(RESIZING))


def _visible(atlas: Atlas, edit: Edit) -> bool:
    before, after, mask = render_edits(atlas, [edit])
    change = (before - after)[mask.expand_as(before)]
    return bool(change.square().mean().sqrt() >= VISIBLE)


def pictures_of(atlas: Atlas, pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of frozen pairs.

    Returns:
        Sources and targets ``(B, 64, 64, 3)`` uint8, and the mask of what may change
        ``(B, 64, 64)`` bool.
    """
    edits = [
        Edit(
            pair.operation,
            pair.instruction,
            Scene.from_dict(pair.source),
            Scene.from_dict(pair.target),
            ("", ""),
        )
        for pair in pairs
    ]
    before, after, mask = render_edits(atlas, edits)
    return _bytes(before), _bytes(after), mask[:, 0].cpu().numpy()


def _bytes(images: Tensor) -> np.ndarray:
    return images.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def main(argv: list[str] | None = None) -> int:
    """Command line entry. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the frozen pairs of editing.")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(argv)
    pairs = make_pairs(Atlas.load())
    options.out.write_text(dump(pairs), encoding="utf-8")
    print(f"wrote {len(pairs)} pairs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
