"""Command line of the training recipes: ``python -m var_spaces.training --help``."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from var_spaces.console import reporting
from var_spaces.cpu import without_denormals
from var_spaces.errors import VarSpacesError
from var_spaces.training.engine.recipe import recipes
from var_spaces.training.styles import command as style
from var_spaces.training.subjects import command as subject

# What a person trains on pictures of their own, with flags of its own.
PERSONAL = {"subject": subject, "content-style": style}


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(
        prog="python -m var_spaces.training",
        description="Train the embedded models; interrupt and repeat a command to resume it.",
    )
    kinds = top.add_subparsers(dest="command", required=True)
    for kind, entry in recipes().items():
        one = kinds.add_parser(kind, help=entry.title, description=f"Train: {entry.title}.")
        one.add_argument("--config", required=True, help="bundled recipe name or a .toml file")
        add_options(one)
        one.add_argument("--name", help="id of the new model (default: the recipe's, or from it)")
        one.add_argument("--start", help="id of a trained model to continue from")
        one.add_argument("--images", type=Path, help="tokenizers: folder of your own images")
        one.add_argument("--ratio", type=float, help="supernet: share of sub-networks, 0 to 1")
        one.add_argument(
            "--set",
            action="append",
            default=[],
            type=setting,
            metavar="NAME=VALUE",
            help="another value of a setting of [recipe]; may be given several times",
        )
    for name, command in PERSONAL.items():
        command.add_arguments(kinds.add_parser(name, help=f"train {command.TITLE}"))
    every = kinds.add_parser("all", help="train every embedded model, each after what it stands on")
    add_options(every)
    return top


def add_options(one: argparse.ArgumentParser) -> None:
    budget = one.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="training time (default: the recipe's)")
    budget.add_argument("--steps", type=int, help="number of steps, for exact reproduction")
    one.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    one.add_argument("--threads", type=int, help="CPU threads (default: all)")
    one.add_argument(
        "--compile",
        action="store_true",
        help="compile the blocks; on CPUs this needs a C++ compiler",
    )
    one.add_argument("--models", type=Path, default=Path("assets/models"), help="model folders")
    one.add_argument(
        "--evaluators", type=Path, default=Path("assets/evaluators"), help="judge, parser and CLIP"
    )
    one.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints and logs")
    one.add_argument("--fresh", action="store_true", help="start over instead of resuming")
    one.add_argument("--replace", action="store_true", help="replace a model that is there")
    one.add_argument("--tiny", action="store_true", help="smallest sizes, to try a recipe out")
    one.add_argument("--no-export", action="store_true", help="leave the model folders alone")
    one.add_argument("--quiet", action="store_true")


def setting(text: str) -> tuple[str, Any]:
    """Name and value of ``NAME=VALUE``: a value as in recipe files, or a word without quotes."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 2 refused, 130 stopped before its end."""
    args = parser().parse_args(arguments)
    return reporting(lambda: _run(args))


def _run(args: argparse.Namespace) -> int | None:
    import torch

    from var_spaces.training.engine.plan import Options
    from var_spaces.training.engine.runs import train, train_all

    if args.threads is not None:
        if args.threads < 1:
            raise VarSpacesError(f"--threads {args.threads}: give at least 1.")
        torch.set_num_threads(args.threads)
    if args.command in PERSONAL:
        with without_denormals():
            return PERSONAL[args.command].run(args)
    options = Options(
        minutes=args.minutes,
        steps=args.steps,
        device=args.device,
        models=args.models,
        evaluators=args.evaluators,
        runs=args.runs,
        fresh=args.fresh,
        quiet=args.quiet,
        export=not args.no_export,
        replace=args.replace,
        tiny=args.tiny,
        compile=args.compile,
        images=getattr(args, "images", None),
        start=getattr(args, "start", None),
        name=getattr(args, "name", None),
        ratio=getattr(args, "ratio", None),
        settings=dict(getattr(args, "set", ())),
    )
    with without_denormals():
        if args.command == "all":
            done = train_all(options)
        else:
            done = train(args.config, options, kind=args.command) is not None
    return None if done else 130


if __name__ == "__main__":
    raise SystemExit(main())
