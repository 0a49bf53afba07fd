"""``python -m var_spaces.training subject``: some pictures and a word in, a model folder out."""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces.adapters.subject_layers import PARTS
from var_spaces.errors import VarSpacesError
from var_spaces.training.images.scan import ScanReport, scan
from var_spaces.training.subjects.settings import (
    LORA,
    PRECISIONS,
    PRIORS,
    PUBLISHED,
    SubjectSettings,
)

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from var_spaces.training.subjects.tuning import Iteration, SubjectTuning
    from var_spaces.zoo.cards import Card

TITLE = "a subject: fine-tune a text model on a few pictures of one thing"
MOST_PICTURES = 100
SHOWN = 20  # iterations between lines
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
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
    "flips": (float, "highest rate of flipped bits"),
    "precision": (str, "of the weights that are trained: " + ", ".join(PRECISIONS)),
    "frame": (str, "prompt of training, with {} for the subject"),
    "seed": (int, "of everything that is drawn"),
}


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    one.add_argument("--pictures", type=Path, required=True, help="folder with pictures of it")
    one.add_argument("--word", required=True, help="broad noun for it, e.g. dog")
    one.add_argument("--base", default="t2i-bit", help="text model that learns it")
    one.add_argument("--out", type=Path, required=True, help="model folder to write; names it")
    one.add_argument("--start", choices=STARTS, default="embedded", help="settings to begin with")
    for name, (kind, text) in SETTINGS.items():
        one.add_argument("--" + name.replace("_", "-"), type=kind, help=text)
    one.add_argument("--layers", help="parts of the blocks to train, of ca,ffn,sa (ca,ffn)")
    one.add_argument("--rows", type=int, help="learned rows of text (4)")
    one.add_argument("--rank", type=int, help="thin matrices (LoRA) of this rank; 0: whole layers")
    one.add_argument(
        "--published-teacher", action="store_true", help="the public code's, without a cache"
    )
    one.add_argument("--device", help="auto, cpu, cuda, cuda:1, ...")
    one.add_argument("--threads", type=int, help="CPU threads (default: all)")
    one.add_argument("--replace", action="store_true", help="replace a model that is there")
    one.add_argument("--quiet", action="store_true")


def run(args: argparse.Namespace) -> None:
    """Train and write the model folder; Ctrl-C keeps what there is.

    Raises:
        VarSpacesError: before any work, if something cannot be used.
    """
    from var_spaces.training.subjects.tuning import SubjectTuning
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.residency import Residency

    settings = settings_of(args)
    card = get_card(args.base, "generator")
    check_out(args.out, args.replace)
    pictures = read_pictures(args.pictures, card, args.quiet)
    device = None if args.device in (None, "auto") else args.device
    with Residency().lease([card.id], device, text=True) as (base,):
        tuning = SubjectTuning(base, pictures, args.word, settings)
        seconds = train(tuning, quiet=args.quiet)
        tuning.save(args.out, seconds=round(seconds, 1))
    if not args.quiet:
        place = f"with VAR_SPACES_MODELS={args.out.parent} in the environment"
        print(f"{args.out}: draw it {place}:")
        print(f'  python -m var_spaces generate --model {args.out.name} --prompt "a photo of <it>"')


def train(tuning: SubjectTuning, quiet: bool) -> float:
    """Go through all iterations and tell how it goes; returns seconds."""
    start = time.monotonic()
    steps = tuning.run()
    try:
        for done in steps:
            if not quiet and (done.step % SHOWN == 0 or done.step == done.steps):
                print(line(done, time.monotonic() - start), flush=True)
    except KeyboardInterrupt:
        if not quiet:
            print(f"stopped after {tuning.step} iterations", flush=True)
    return time.monotonic() - start


def line(done: Iteration, seconds: float) -> str:
    left = seconds / done.step * (done.steps - done.step)
    return (
        f"{done.step:4d} of {done.steps}  subject {done.instance:.4f}  prior {done.prior:.4f}  "
        f"{seconds:.0f} s, {left:.0f} s left"
    )


def settings_of(args: argparse.Namespace) -> SubjectSettings:
    """Settings that the flags describe."""
    start = STARTS[args.start]
    given = {name: getattr(args, name) for name in SETTINGS}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.published_teacher:
        changes["published_teacher"] = True
    layers: dict[str, Any] = {}
    if args.layers is not None:
        chosen = [part.strip() for part in args.layers.split(",") if part.strip()]
        unknown = [part for part in chosen if part not in PARTS]
        if unknown:
            raise VarSpacesError(f"No layers '{unknown[0]}': choose of {', '.join(PARTS)}.")
        layers = {part: part in chosen for part in PARTS}
    layers |= {n: getattr(args, n) for n in ("rows", "rank") if getattr(args, n) is not None}
    return replace(start, layers=replace(start.layers, **layers), **changes)


def check_out(out: Path, replaced: bool) -> None:
    """Refuse a folder that cannot be a new model.

    Raises:
        VarSpacesError: if its name is no id, or something is there.
    """
    if not ID.fullmatch(out.name):
        raise VarSpacesError(
            f"'{out.name}' cannot be the id of a model: lower-case letters, digits, '.', '_' and "
            "'-', at most 64."
        )
    if out.exists() and not replaced:
        raise VarSpacesError(f"{out} exists: choose another --out, or --replace it.")
    if out.exists() and not (out / "card.json").is_file():
        raise VarSpacesError(f"{out} is no model folder: choose another --out.")


def read_pictures(folder: Path, card: Card, quiet: bool = False) -> Tensor:
    """All pictures of a folder as a model sees them, ``(N, 3, H, W)`` in [-1, 1].

    Raises:
        VarSpacesError: if there is none, or more than 100.
    """
    report = ScanReport(str(folder))
    found = []
    for _, _, image in scan(folder, report):
        if len(found) == MOST_PICTURES:
            raise VarSpacesError(f"{folder} has more than {MOST_PICTURES} pictures: take some out.")
        found.append(image)
    for name, reason in report.refused if not quiet else ():
        print(f"left out {name}: {reason}")
    if not found:
        raise VarSpacesError(f"No pictures in {folder}: give a folder with some of one thing.")
    return as_batch(found, card.resolution)


def as_batch(pictures: list[Any], side: int) -> Tensor:
    """The middles of pictures (PIL or ``(H, W, 3)`` uint8), ``(N, 3, side, side)`` in [-1, 1]."""
    import torch

    from var_spaces.pictures import as_rgb, fit

    pixels: list[np.ndarray] = [fit(as_rgb(picture), side, side) for picture in pictures]
    tensors = [torch.tensor(one).permute(2, 0, 1) for one in pixels]
    return torch.stack(tensors).float() / 127.5 - 1
