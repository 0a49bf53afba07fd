"""``python -m var_spaces.training subject``: some pictures and a word in, a model folder out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces.adapters.subject_layers import PARTS
from var_spaces.errors import VarSpacesError
from var_spaces.training import personal
from var_spaces.training.images.scan import ScanReport, scan
from var_spaces.training.subjects.settings import (
    LORA,
    PRECISIONS,
    PRIORS,
    PUBLISHED,
    SubjectSettings,
)

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.training.subjects.tuning import Iteration
    from var_spaces.zoo.cards import Card

TITLE = "a subject: fine-tune a text model on a few pictures of one thing"
MOST_PICTURES = 100
STARTS = {"embedded": SubjectSettings(), "lora": LORA, "published": PUBLISHED}
# Flags that replace a setting, with their help.
SETTINGS: dict[str, tuple[type, str]] = {
    "steps": (int, "iterations"),
    "batch": (int, "pictures per update"),
    "lr": (float, "learning rate of the layers"),
    "rows_lr": (float, "learning rate of the rows of text"),
    "coarse": (int, "first scales that count full; 0: as suits the schedule"),
    "fine": (float, "weight of the tokens of the other scales, 0 to 1"),
    "prior": (str, "how to stay with what the model knows of the class: " + ", ".join(PRIORS)),
    "prior_weight": (float, "weight of that loss"),
    "temperature": (float, "of that loss"),
    "pool": (int, "pictures of the class drawn before training; 0 draws anew for every update"),
    "drop_text": (float, "share of pictures trained without their prompt"),
    "drop_path": (float, "share of pictures that skip a branch of the last block, 0 to 0.5"),
    "flips": (float, "highest rate of flipped bits"),
    "precision": (str, "of the weights that are trained: " + ", ".join(PRECISIONS)),
    "frame": (str, "prompt of training, with {} for the subject"),
    "seed": (int, "of everything that is drawn"),
}


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    one.add_argument("--pictures", type=Path, required=True, help="folder with pictures of it")
    one.add_argument("--word", required=True, help="broad noun for it, e.g. dog")
    personal.add_flags(one, STARTS, SETTINGS)
    one.add_argument("--layers", help="parts of the blocks to train, of ca,ffn,sa (ca,ffn)")
    one.add_argument("--rows", type=int, help="learned rows of text (4)")
    one.add_argument("--rank", type=int, help="thin matrices (LoRA) of this rank; 0: whole layers")
    one.add_argument(
        "--published-teacher", action="store_true", help="the public code's, without a cache"
    )


def run(args: argparse.Namespace) -> None:
    """Train and write the model folder; Ctrl-C keeps what there is.

    Raises:
        VarSpacesError: before any work, if something cannot be used.
    """
    from var_spaces.training.subjects.tuning import SubjectTuning
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.new_folder import check_new

    settings = settings_of(args)
    card = get_card(args.base, "generator")
    check_new(args.out, args.replace)
    pictures = read_pictures(args.pictures, card, args.quiet)
    with personal.leased(card, args.device) as base:
        tuning = SubjectTuning(base, pictures, args.word, settings)
        seconds = personal.follow(tuning.run(), args.quiet, line)
        tuning.save(args.out, seconds=round(seconds, 1))
    if not args.quiet:
        personal.tell(args.out, "a photo of <it>")


def line(done: Iteration) -> str:
    return f"subject {done.instance:.4f}  prior {done.prior:.4f}"


def settings_of(args: argparse.Namespace) -> SubjectSettings:
    """Settings that the flags describe."""
    start = STARTS[args.start]
    changes: dict[str, Any] = {"published_teacher": True} if args.published_teacher else {}
    layers: dict[str, Any] = {}
    if args.layers is not None:
        chosen = [part.strip() for part in args.layers.split(",") if part.strip()]
        unknown = [part for part in chosen if part not in PARTS]
        if unknown:
            raise VarSpacesError(f"No layers '{unknown[0]}': choose of {', '.join(PARTS)}.")
        layers = {part: part in chosen for part in PARTS}
    layers |= {n: getattr(args, n) for n in ("rows", "rank") if getattr(args, n) is not None}
    changes["layers"] = replace(start.layers, **layers)
    return personal.with_flags(start, args, SETTINGS, **changes)


def read_pictures(folder: Path, card: Card, quiet: bool = False) -> Tensor:
    """All pictures of a folder as a model sees them, ``(N, 3, H, W)`` in [-1, 1].

    Raises:
        VarSpacesError: if there is none, or more than 100.
    """
    import torch

    report = ScanReport(str(folder))
    found = []
    for path, _, image in scan(folder, report):
        if len(found) == MOST_PICTURES:
            raise VarSpacesError(f"{folder} has more than {MOST_PICTURES} pictures: take some out.")
        try:  # small at once: a hundred large ones would not fit into memory
            found.append(personal.as_batch([image], card.resolution))
        except VarSpacesError as error:
            report.refused.append((path.relative_to(folder).as_posix(), str(error)))
    for name, reason in report.refused if not quiet else ():
        print(f"left out {name}: {reason}")
    if not found:
        raise VarSpacesError(f"No pictures in {folder}: give a folder with some of one thing.")
    return torch.cat(found)
