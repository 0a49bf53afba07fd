"""``python -m var_spaces.training content-style``: a picture and two words in, a model out."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces.training.styles.settings import PAPER, RELEASED, StyleSettings
from var_spaces.training.subjects.command import as_batch, check_out

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.training.styles.tuning import StyleTuning

TITLE = "content and style of one picture, apart"
SHOWN = 20  # updates between lines
STARTS = {"embedded": StyleSettings(), "paper": PAPER, "released": RELEASED}
# Flags that replace a setting, with their help.
SETTINGS: dict[str, tuple[type, str]] = {
    "steps": (int, "updates"),
    "lr": (float, "learning rate"),
    "text_rows": (int, "learned rows of text for each"),
    "rank": (int, "directions of content taken out of style; 0: none"),
    "slots": (int, "learned keys and values for each; 0: none"),
    "alpha": (float, "how much scales of content count in the loss of style"),
    "orthogonality": (float, "weight of the loss between rows of style and of content"),
    "drop_text": (float, "share of updates without text"),
    "flips": (float, "highest rate of flipped bits"),
    "seed": (int, "of everything that is drawn"),
}


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    one.add_argument("--picture", type=Path, required=True, help="what to learn from")
    one.add_argument("--content", required=True, help="word for what it shows, e.g. owl")
    one.add_argument("--style", required=True, help="word for how it is drawn, e.g. glossy")
    one.add_argument("--base", default="t2i-bit", help="text model that learns it")
    one.add_argument("--out", type=Path, required=True, help="model folder to write; names it")
    one.add_argument("--start", choices=STARTS, default="embedded", help="settings to begin with")
    for name, (kind, text) in SETTINGS.items():
        one.add_argument("--" + name.replace("_", "-"), type=kind, help=text)
    one.add_argument(
        "--all-scales", action="store_true", help="both follow a loss of all scales alike"
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
    from var_spaces.training.styles.tuning import StyleTuning
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.residency import Residency

    settings = settings_of(args)
    card = get_card(args.base, "generator")
    check_out(args.out, args.replace)
    picture = read_picture(args.picture, card.resolution)
    device = None if args.device in (None, "auto") else args.device
    with Residency().lease([card.id], device, text=True) as (base,):
        tuning = StyleTuning(base, picture, args.content, args.style, settings)
        seconds = train(tuning, quiet=args.quiet)
        tuning.save(args.out, seconds=round(seconds, 1))
    if not args.quiet:
        place = f"with VAR_SPACES_MODELS={args.out.parent} in the environment"
        print(f"{args.out}: draw it {place}:")
        for prompt in ("<content> in flat style", "a car in <style>"):
            print(f'  python -m var_spaces generate --model {args.out.name} --prompt "{prompt}"')


def train(tuning: StyleTuning, quiet: bool) -> float:
    """Go through all updates and tell how it goes; returns seconds."""
    start = time.monotonic()
    losses: dict[str, float] = {}
    try:
        for done in tuning.run():
            losses[done.turn] = done.loss
            if not quiet and (done.step % SHOWN == 0 or done.step == done.steps):
                seconds = time.monotonic() - start
                left = seconds / done.step * (done.steps - done.step)
                shown = "  ".join(f"{turn} {loss:.4f}" for turn, loss in sorted(losses.items()))
                print(f"{done.step:4d} of {done.steps}  {shown}  {left:.0f} s left", flush=True)
    except KeyboardInterrupt:
        if not quiet:
            print(f"stopped after {tuning.step} updates", flush=True)
    return time.monotonic() - start


def settings_of(args: argparse.Namespace) -> StyleSettings:
    """Settings that the flags describe."""
    given = {name: getattr(args, name) for name in SETTINGS}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.all_scales:
        changes["scale_aware"] = False
    return replace(STARTS[args.start], **changes)


def read_picture(path: Path, side: int) -> Tensor:
    """A picture as a model sees it, ``(1, 3, side, side)`` in [-1, 1].

    Raises:
        VarSpacesError: if it cannot be read.
    """
    from var_spaces.pictures import read

    return as_batch([read(path)], side)
