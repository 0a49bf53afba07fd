"""Embedded models by their recipes for GPUs, each in a process of its own, inside a time."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.processes import TIMED_OUT, bounded

ROOT = Path(__file__).parents[2]
BESIDE = 60.0  # seconds of a run that are no training: start, the last evaluation, export
ENDED = ("--minutes", "0.01")  # a budget that every run has used up
LEAST = 60.0  # seconds of training below which a recipe is not begun


@dataclass(frozen=True)
class Recipe:
    """A recipe and the share of the time for training that it may take."""

    kind: str
    config: str
    share: float

    @property
    def id(self) -> str:
        return self.config.removesuffix("-gpu")


RECIPES = (
    Recipe("text-transformer", "t2i-fine-gpu", 0.45),
    Recipe("text-transformer", "t2i-refined-gpu", 0.45),
    Recipe("instruct", "edit-bit-gpu", 1.0),
    Recipe("control", "control-bit-gpu", 0.5),
    Recipe("echo", "echo-bit-gpu", 1.0),
    Recipe("transformer", "var-base-gpu", 1.0),
)


def train_all(
    work: Path, left: Callable[[], float], device: str, tiny: bool, done: set[str]
) -> Iterator[dict[str, Any]]:
    """Train one model after the other; a row for each.

    Args:
        work: models, checkpoints and logs; a run that was stopped goes on from there.
        left: seconds that are left for training.
        done: recipes that need no training any more.
    """
    models = work / "models"
    for recipe in RECIPES[:1] if tiny else RECIPES:
        if recipe.config in done:
            continue
        seconds = left() * recipe.share
        if not tiny and seconds < LEAST + BESIDE:
            yield {"recipe": recipe.config, "why": "no time was left"}
            continue
        lend(models, recipe.id)
        command = [sys.executable, "-m", "var_spaces.training", recipe.kind]
        command += ["--config", recipe.config, "--device", device, "--replace"]
        command += ["--models", str(models), "--runs", str(work / "runs")]
        budget = ["--minutes", f"{(seconds - BESIDE) / 60:.2f}"]
        budget = ["--steps", "1", "--tiny"] if tiny else budget
        log = work / f"{recipe.config}.log"
        code, last = bounded(command + budget, max(left(), LEAST), log, ROOT)
        if code == TIMED_OUT:  # what its checkpoint holds becomes the model
            code, last = bounded([*command, *ENDED], BESIDE, log, ROOT)
        card = models / recipe.id / "card.json"
        if code == 0 and card.is_file() and not (models / recipe.id).is_symlink():
            said = json.loads(card.read_text("utf-8"))
            numbers = {k: v for k, v in said["metrics"].items() if isinstance(v, float)}
            run = {key: said["training"][key] for key in ("minutes", "images", "device")}
            yield {"recipe": recipe.config, **run, "metrics": numbers}
        else:
            yield {"recipe": recipe.config, "why": f"ended with {code}: {last}"}


def lend(models: Path, trained: str) -> None:
    """A folder of all embedded models but the one that is trained: it gets a place of its own."""
    models.mkdir(parents=True, exist_ok=True)
    for source in sorted((ROOT / "assets" / "models").iterdir()):
        place = models / source.name
        if place.exists() or not source.is_dir():
            continue
        try:
            place.symlink_to(source, target_is_directory=True)
        except OSError:  # a system without links
            shutil.copytree(source, place)
    if (models / trained).is_symlink():
        (models / trained).unlink()
