"""From a recipe file to a trained model folder."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields, replace
from typing import Any

from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.training.engine import recipe as recipes
from var_spaces.training.engine.budget import Budget
from var_spaces.training.engine.config import (
    RecipeFile,
    check_names,
    check_types,
    embedded,
    read_config,
)
from var_spaces.training.engine.curriculum import Curriculum
from var_spaces.training.engine.export import check_target, export
from var_spaces.training.engine.plan import Options, Plan, digest, weights_digest
from var_spaces.training.engine.recipe import Recipe
from var_spaces.training.engine.tiny import tiny
from var_spaces.training.engine.trainer import CHECKPOINT, Progress, Trainer
from var_spaces.zoo.folders import MODEL_ID


def train(config: str, options: Options, kind: str | None = None) -> dict[str, Any] | None:
    """Run one recipe and, unless told otherwise, export the averaged weights.

    Args:
        config: bundled recipe name or TOML file.
        kind: refuse recipes of another kind.

    Returns:
        The metrics of the last evaluation; None if it was stopped, and goes on when it is repeated.
    """
    plan = make_plan(config, options, kind)
    minutes, steps = options.minutes, options.steps
    if minutes is None and steps is None:
        minutes = plan.data.get("minutes", 30)
    budget = Budget(minutes=minutes, steps=steps)
    if options.export:
        check_target(plan)
    if options.images:
        show_report(plan)
    curriculum = Curriculum(plan.settings, plan.data.get("stages", []), plan.recipe.changing)
    recipe = plan.recipe.build(plan)
    recipe.try_out([settings for _, settings in curriculum.stages])
    recipe, trainer, model = run_stages(recipe, plan, budget, curriculum)
    if trainer.stopping:
        return None
    model, metrics = recipe.finish(model), trainer.metrics
    if options.export and trainer.main:
        export(plan, recipe, model, metrics, trainer)
    return metrics


def make_plan(config: str, options: Options, kind: str | None = None) -> Plan:
    """Read a recipe file and what options change in it; every refusal comes before any work."""
    data = read_config(config)
    check_names(RecipeFile, data, f"recipe {config}")
    check_types(RecipeFile, data, f"recipe {config}:")
    if data.get("kind") not in recipes.recipes() or "id" not in data:
        raise VarSpacesError(
            f"Recipe {config} needs an id and a kind out of {', '.join(recipes.recipes())}."
        )
    if kind is not None and data["kind"] != kind:
        raise VarSpacesError(
            f"Recipe {config} trains a {data['kind']}, not a {kind}: "
            f"use 'python -m var_spaces.training {data['kind']} --config {config}'."
        )
    recipe = recipes.get(data["kind"])
    settings = {field.name for field in fields(recipe.settings)}
    if "codebook" in data and "codebook" not in settings:
        raise VarSpacesError(f"Recipe {config} trains no codebook: leave out [codebook].")
    if options.images and not recipe.takes_images:
        raise VarSpacesError(f"Recipe {config} trains no tokenizer: leave out --images.")
    flags = {"start": options.start, "ratio": options.ratio}
    given = {name: value for name, value in flags.items() if value is not None}
    for name in given:
        if name not in settings:
            raise VarSpacesError(f"A {recipe.name} has no '{name}': leave out --{name}.")
    data["recipe"] = {**data.get("recipe", {}), **given, **options.settings}
    if options.tiny:
        data = tiny(data, recipe, options.models)
    plan = Plan(data, recipe, options)
    _ = plan.train, plan.settings  # refuses what is wrong in them
    plan.data.update(identity(plan))
    return plan


def show_report(plan: Plan) -> None:
    """Print what became of the files of a folder, and keep it with the run."""
    reports = plan.own_images.reports
    plan.folder.mkdir(parents=True, exist_ok=True)
    for path in reports:
        shutil.copyfile(path, plan.folder / path.name)
    if not plan.options.quiet:
        print(reports[0].read_text("utf-8"), end="", flush=True)


def run_stages(
    recipe: Recipe, plan: Plan, budget: Budget, curriculum: Curriculum
) -> tuple[Recipe, Trainer, nn.Module]:
    """Train a recipe and, if it has stages, those that follow, each in a folder of its own.

    A recipe that others follow says ``stage``, its name, and ``following(model)``, the recipe that
    goes on with what this one trained, or None.

    Returns:
        The last recipe, its trainer (which counts time and steps of all) and the averaged weights.
    """
    spent: list[Progress] = []
    learned, fresh = plan.digest(), plan.options.fresh
    stale = sorted(plan.folder.glob(f"*/{CHECKPOINT}")) if fresh else []  # of stages to come
    while True:
        staged = hasattr(recipe, "following")
        place = plan.folder / recipe.stage if staged else plan.folder
        trainer = Trainer(
            recipe,
            plan.train,
            budget.part(recipe.budget_share),
            place,
            plan.device,
            quiet=plan.options.quiet,
            digest=learned,
            fresh=fresh,
            stale=stale,
            compiled=plan.options.compile and recipe.compiles,
            curriculum=curriculum,
        )
        model = trainer.run()
        spent.append(trainer.at)
        following = recipe.following(model) if staged and not trainer.stopping else None
        if following is None:
            break
        # what a stage learned goes with the weights that it began with
        recipe, stale = following, []
        learned = digest({"run": plan.digest(), "begins": weights_digest(model)})
    trainer.at = Progress(
        step=sum(at.step for at in spent),
        elapsed=sum(at.elapsed for at in spent),
        images=sum(at.images for at in spent),
    )
    return recipe, trainer, model


def identity(plan: Plan) -> dict[str, str]:
    """Id and title of the model. Variants never have the id of the model that the recipe names."""
    data, options = plan.data, plan.options
    name, title = options.name or data["id"], data.get("title", data["id"])
    if options.name and not re.fullmatch(MODEL_ID, options.name):
        raise _no_id(options.name)
    if options.ratio is not None:
        title = f"{title}, {100 * options.ratio:.4g}% sub-networks"
        if not options.name:
            name = f"{name}-p{100 * options.ratio:.4g}"
    if options.settings:
        changed = [f"{key} {value}" for key, value in options.settings.items()]
        title = f"{title}, {', '.join(changed)}"
        if not options.name:
            name = "-".join((name, *(slug(one) for one in changed)))
    if options.images:
        folder = options.images.resolve().name
        images = plan.own_images.digest
        title = f"{title}, trained on {folder}"
        if not options.name:
            # Names of folders say nothing about what is in them, and many have no Latin letter.
            said = slug(folder)[:24].strip("-")
            of = digest({"images": images, **plan.sections})[:8]
            name = "-".join(part for part in (name, said, of) if part)
    if not re.fullmatch(MODEL_ID, name):
        raise _no_id(name)
    return {"id": name, "title": title}


def slug(text: str) -> str:
    """What of a text an id can hold."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _no_id(name: str) -> VarSpacesError:
    return VarSpacesError(
        f"'{name}' cannot be the id of a model: lower-case letters, digits, '.', '_' and '-', "
        "at most 64."
    )


def train_all(options: Options) -> bool:
    """Train every embedded model inside one budget, each after what it stands on.

    Returns:
        False if one was stopped: those after it were not begun.
    """
    suffix = "-gpu" if options.torch_device.type == "cuda" else ""
    every = embedded()
    whole = sum(every.values())
    for name, share in every.items():
        minutes = options.minutes * share / whole if options.minutes else None
        part = replace(options, minutes=minutes)
        if not options.quiet:
            print(f"== {name}", flush=True)
        if train(name + suffix, part) is None:
            return False
    return True
