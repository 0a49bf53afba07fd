"""What the commands share that train on a person's own pictures: flags, checks, progress."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from var_spaces.zoo.cards import Card
    from var_spaces.zoo.residency import LoadedModel

SHOWN = 20  # steps between lines
S = TypeVar("S")
# name of a setting -> its type and help
Flags = Mapping[str, tuple[type, str]]


def add_flags(one: argparse.ArgumentParser, starts: Mapping[str, Any], flags: Flags) -> None:
    """Flags of the base model, the result, and settings.

    Args:
        starts: settings to begin with, by name; the first is the usual one.
        flags: settings that have a flag of their own.
    """
    one.add_argument("--base", default="t2i-bit", help="text model that learns it")
    one.add_argument("--out", type=Path, required=True, help="model folder to write; names it")
    one.add_argument(
        "--start", choices=starts, default=next(iter(starts)), help="settings to begin with"
    )
    for name, (kind, text) in flags.items():
        one.add_argument("--" + name.replace("_", "-"), type=kind, help=text)
    one.add_argument("--device", help="auto, cpu, cuda, cuda:1, ...")
    one.add_argument("--threads", type=int, help="CPU threads (default: all)")
    one.add_argument("--replace", action="store_true", help="replace a model that is there")
    one.add_argument("--quiet", action="store_true")


def with_flags(start: S, args: argparse.Namespace, flags: Flags, **changes: Any) -> S:
    """Settings ``start`` with what the flags say, and other changes."""
    given = {name: getattr(args, name) for name in flags}
    return replace(start, **{k: v for k, v in given.items() if v is not None}, **changes)


@contextmanager
def leased(card: Card, device: str | None) -> Iterator[LoadedModel]:
    """The base model and its text encoder in memory."""
    from var_spaces.zoo.residency import Residency

    with Residency().lease([card.id], None if device == "auto" else device, text=True) as (base,):
        yield base


def follow(steps: Iterator[Any], quiet: bool, line: Callable[[Any], str]) -> float:
    """Go through all steps of a training and tell how it goes; Ctrl-C stops it.

    Args:
        steps: yields objects with ``step`` (done) and ``steps`` (in all).
        line: what to say about one of them.

    Returns:
        Seconds.
    """
    start, done = time.monotonic(), 0
    try:
        for at in steps:
            done = at.step
            if not quiet and (done % SHOWN == 0 or done == at.steps):
                seconds = time.monotonic() - start
                left = seconds / done * (at.steps - done)
                said = f"{done:4d} of {at.steps}  {line(at)}  {seconds:.0f} s, {left:.0f} s left"
                print(said, flush=True)
    except KeyboardInterrupt:
        if not quiet:
            print(f"stopped after {done} steps", flush=True)
    return time.monotonic() - start


def tell(out: Path, *prompts: str) -> None:
    """Print how the result is drawn with."""
    print(f"{out}: draw it with VAR_SPACES_MODELS={out.parent} in the environment:")
    for prompt in prompts:
        print(f'  python -m var_spaces generate --model {out.name} --prompt "{prompt}"')


def as_batch(pictures: list[Any], side: int) -> Tensor:
    """The middles of pictures (PIL or ``(H, W, 3)`` uint8), ``(N, 3, side, side)`` in [-1, 1]."""
    import torch

    from var_spaces.pictures import as_rgb, fit

    pixels: list[np.ndarray] = [fit(as_rgb(picture), side, side) for picture in pictures]
    tensors = [torch.tensor(one).permute(2, 0, 1) for one in pixels]
    return torch.stack(tensors).float() / 127.5 - 1
