"""``python -m var_spaces.training content-style``: a picture and two words in, a model out."""

from __future__ import annotations

import argparse
from pathlib import Path

from var_spaces.training import personal
from var_spaces.training.styles.settings import PAPER, RELEASED, StyleSettings

TITLE = "content and style of one picture, apart"
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
    personal.add_flags(one, STARTS, SETTINGS)
    one.add_argument(
        "--all-scales", action="store_true", help="both follow a loss of all scales alike"
    )


def run(args: argparse.Namespace) -> None:
    """Train and write the model folder; Ctrl-C keeps what there is.

    Raises:
        VarSpacesError: before any work, if something cannot be used.
    """
    from var_spaces.pictures import read
    from var_spaces.training.styles.tuning import StyleTuning
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.new_folder import check_new

    settings = settings_of(args)
    card = get_card(args.base, "generator")
    check_new(args.out, args.replace)
    picture = personal.as_batch([read(args.picture)], card.resolution)
    with personal.leased(card, args.device) as base:
        tuning = StyleTuning(base, picture, args.content, args.style, settings)
        seconds = personal.follow(
            tuning.run(), args.quiet, lambda done: f"{done.turn:7} {done.loss:.4f}"
        )
        tuning.save(args.out, seconds=round(seconds, 1))
    if not args.quiet:
        personal.tell(args.out, "<content> in flat style", "a car in <style>")


def settings_of(args: argparse.Namespace) -> StyleSettings:
    """Settings that the flags describe."""
    changes = {"scale_aware": False} if args.all_scales else {}
    return personal.with_flags(STARTS[args.start], args, SETTINGS, **changes)
