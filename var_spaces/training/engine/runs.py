"""From a recipe file to a trained model folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks import base as codebooks
from var_spaces.training.codebooks.quantizer import fold
from var_spaces.training.engine.budget import Budget
from var_spaces.training.engine.config import TrainConfig, build, read_config
from var_spaces.training.engine.evaluator_runs import (
    EVALUATOR_BUILDERS,
    perceptual_loss,
    without_heads,
)
from var_spaces.training.engine.export import (
    export,
    label_names,
    load_tokenizer,
    load_transformer,
    read_card,
)
from var_spaces.training.engine.fine_tuning import FINE_TUNING_BUILDERS
from var_spaces.training.engine.flex_runs import FLEX_BUILDERS
from var_spaces.training.engine.text_runs import TEXT_BUILDERS
from var_spaces.training.engine.trainer import Progress, Recipe, Trainer
from var_spaces.training.images.folder import FolderSource, prepare
from var_spaces.training.recipes.hmar import HMARRecipe, HMARTraining
from var_spaces.training.recipes.judge import JudgeConfig, JudgeRecipe
from var_spaces.training.recipes.tokenizer import TokenizerConfig, TokenizerRecipe
from var_spaces.training.recipes.transformer import TransformerConfig, TransformerRecipe

TOP_LEVEL = ("kind", "id", "title", "minutes", "model", "recipe", "codebook", "train")
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# What ``all`` trains, each after what it stands on. A budget is shared in these proportions, which
# are minutes of two CPU cores.
EMBEDDED = {
    "vq-tokenizer": 46,
    "bit-tokenizer": 40,
    "judge": 5,
    "parser": 12,
    "clip": 12,
    "var-base": 58,
    "var-small": 37,
    "hmar": 25,
    "flex-tokenizer": 12,
    "flexvar": 17,
    "t2i-bit": 80,
}


@dataclass(frozen=True)
class Options:
    """Where and how long a run goes.

    Args:
        minutes, steps: budget; None takes the recipe's minutes.
        device: torch device.
        models: folder of model folders that tokenizers are read from and results written to.
        evaluators: folder of judge, parser and CLIP; they are no models of the app.
        runs: folder of run folders (checkpoints, metrics, samples).
        fresh: start over instead of resuming.
        quiet: print nothing.
        export: write the trained model into ``models``.
        images: folder of a person's own images for a tokenizer; None takes the recipe's scenes.
        start: id of a trained tokenizer that a tokenizer continues from; None as the recipe says.
        name: id of the model; None takes the recipe's, with the name of ``images`` or the ``ratio``
            if given.
        ratio: of a supernet: constant share of sub-network iterations in place of the phases.
    """

    minutes: float | None = None
    steps: int | None = None
    device: str = "auto"
    models: Path = Path("assets/models")
    evaluators: Path = Path("assets/evaluators")
    runs: Path = Path("runs")
    fresh: bool = False
    quiet: bool = False
    export: bool = True
    images: Path | None = None
    start: str | None = None
    name: str | None = None
    ratio: float | None = None

    @property
    def torch_device(self) -> torch.device:
        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(config: str, options: Options, kind: str | None = None) -> dict[str, Any]:
    """Run one recipe and, unless told otherwise, export the averaged weights.

    Args:
        config: bundled recipe name or TOML file.
        kind: refuse recipes of another kind.

    Returns:
        The metrics of the last evaluation.
    """
    data = read_config(config)
    for key in data:
        if key not in TOP_LEVEL:
            raise VarSpacesError(
                f"Unknown entry '{key}' in recipe {config}. Known: {', '.join(TOP_LEVEL)}."
                + did_you_mean(key, TOP_LEVEL)
            )
    if data.get("kind") not in BUILDERS or "id" not in data:
        raise VarSpacesError(
            f"Recipe {config} needs an id and a kind out of {', '.join(BUILDERS)}."
        )
    if kind is not None and data["kind"] != kind:
        raise VarSpacesError(
            f"Recipe {config} trains a {data['kind']}, not a {kind}: "
            f"use 'python -m var_spaces.training {data['kind']} --config {config}'."
        )
    if data["kind"] != "tokenizer" and (options.images or "codebook" in data):
        raise VarSpacesError(
            f"Recipe {config} trains no codebook: leave out images and [codebook]."
        )
    data |= identity(data, options)
    changed = {"start": options.start, "ratio": options.ratio}
    given = {key: value for key, value in changed.items() if value is not None}
    if given:
        data["recipe"] = {**data.get("recipe", {}), **given}
    settings = build(TrainConfig, data.get("train", {}), f"[train] of {config}")
    minutes, steps = options.minutes, options.steps
    if minutes is None and steps is None:
        minutes = data.get("minutes", 30)
    budget = Budget(minutes=minutes, steps=steps)
    device = options.torch_device
    folder = options.runs / data["id"]
    recipe = BUILDERS[data["kind"]](data, settings, options, device)
    recipe, trainer, model = run_stages(recipe, settings, budget, folder, options)
    model = FINISH.get(data["kind"], nn.Module.eval)(model)
    metrics = recipe.evaluate(model)
    if options.export and trainer.main and not trainer.stopping:
        judges = data["kind"] in ("judge", *EVALUATOR_BUILDERS)
        target = options.evaluators if judges else options.models
        export(data, recipe, model, metrics, trainer, target)
    return metrics


def run_stages(
    recipe: Recipe, settings: TrainConfig, budget: Budget, folder: Path, options: Options
) -> tuple[Recipe, Trainer, nn.Module]:
    """Train a recipe and, if it has stages, those that follow, each in a folder of its own.

    A recipe with stages says ``stage``, its name, ``share``, its part of the budget, and
    ``following(model)``, the recipe that goes on with what this one trained, or None.

    Returns:
        The last recipe, its trainer (which counts time and steps of all) and the averaged weights.
    """
    spent: list[Progress] = []
    while True:
        staged = hasattr(recipe, "following")
        place = folder / recipe.stage if staged else folder
        part = budget.part(recipe.share) if staged else budget
        if options.fresh:
            for path in (place / "checkpoint.pt", place / "metrics.jsonl"):
                path.unlink(missing_ok=True)
        trainer = Trainer(recipe, settings, part, place, options.torch_device, options.quiet)
        model = trainer.run()
        spent.append(trainer.at)
        following = recipe.following(model) if staged and not trainer.stopping else None
        if following is None:
            break
        recipe = following
    trainer.at = Progress(
        step=sum(at.step for at in spent),
        elapsed=sum(at.elapsed for at in spent),
        images=sum(at.images for at in spent),
    )
    return recipe, trainer, model


def identity(data: dict[str, Any], options: Options) -> dict[str, str]:
    """Id and title of the model. Variants never overwrite the model that the recipe names."""
    name, title = options.name or data["id"], data.get("title", data["id"])
    if options.ratio is not None:
        title = f"{title}, {options.ratio:.0%} sub-networks"
        if not options.name:
            name = f"{name}-p{100 * options.ratio:.0f}"
    if options.images:
        folder = options.images.resolve().name
        title = f"{title}, trained on {folder}"
        if not options.name:
            name = re.sub(r"[^a-z0-9._-]+", "-", f"{name}-{folder}".lower())[:64].strip("-.")
    if not ID.fullmatch(name):
        raise VarSpacesError(
            f"'{name}' cannot be the id of a model: lower-case letters, digits, '.', '_' and '-', "
            "at most 64."
        )
    return {"id": name, "title": title}


def train_all(options: Options) -> None:
    """Train every embedded model inside one budget."""
    suffix = "-gpu" if options.torch_device.type == "cuda" else ""
    whole = sum(EMBEDDED.values())
    for name, share in EMBEDDED.items():
        minutes = options.minutes * share / whole if options.minutes else None
        part = replace(options, minutes=minutes)
        if not options.quiet:
            print(f"== {name}", flush=True)
        train(name + suffix, part)


def _tokenizer(data: dict, train: TrainConfig, options: Options, device: torch.device) -> Recipe:
    model = build(ResidualVQConfig, data.get("model", {}), "[model]")
    config = build(TokenizerConfig, data.get("recipe", {}), "[recipe]")
    method = build(codebooks.get(config.codebook), data.get("codebook", {}), "[codebook]")
    folder = options.runs / data["id"]
    source = None
    if options.images:
        size = model.patch_nums[-1] * model.downsample
        prepared = prepare(options.images, size, folder)
        if not options.quiet:
            print((folder / "images_report.txt").read_text("utf-8"), end="", flush=True)
        source = FolderSource(prepared, options.images.resolve().name, size, device)
    return TokenizerRecipe(
        model,
        config,
        train.seed,
        device,
        method=method,
        source=source,
        start=load_tokenizer(options.models / config.start) if config.start else None,
        perceptual=perceptual_loss(config.perceptual, options),
        folder=folder,
    )


def _transformer(data: dict, train: TrainConfig, options: Options, device: torch.device) -> Recipe:
    config = build(TransformerConfig, data.get("recipe", {}), "[recipe]")
    tokenizer = load_tokenizer(options.models / config.tokenizer)
    return TransformerRecipe(tokenizer, config, train.seed, device)


def _hmar(data: dict, train: TrainConfig, options: Options, device: torch.device) -> Recipe:
    settings = build(HMARTraining, data.get("recipe", {}), "[recipe]")
    tokenizer = load_tokenizer(options.models / settings.tokenizer)
    start = load_transformer(options.models / settings.start)
    card = read_card(options.models / settings.start, "transformer --config var-base")
    recipe = HMARRecipe(tokenizer, start, settings, train.seed, device)
    if [card["classes"], card["styles"]] != list(label_names(recipe.scenes)):
        raise VarSpacesError(
            f"The scenes '{settings.scenes}' do not show the classes and styles of "
            f"'{settings.start}': choose the scenes that it was trained on."
        )
    return recipe


def _judge(data: dict, train: TrainConfig, options: Options, device: torch.device) -> Recipe:
    config = build(JudgeConfig, data.get("recipe", {}), "[recipe]")
    tokenizer = load_tokenizer(options.models / config.tokenizer)
    return JudgeRecipe(tokenizer, config, train.seed, device)


BUILDERS: dict[str, Callable[..., Recipe]] = {
    "tokenizer": _tokenizer,
    "transformer": _transformer,
    "hmar": _hmar,
    "judge": _judge,
    **TEXT_BUILDERS,
    **EVALUATOR_BUILDERS,
    **FLEX_BUILDERS,
    **FINE_TUNING_BUILDERS,
}
# What the weights of a finished run become.
FINISH: dict[str, Callable[..., nn.Module]] = {"tokenizer": fold, "clip": without_heads}
