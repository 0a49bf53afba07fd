"""A recipe at its smallest, to see that it runs from end to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from var_spaces.training.engine.models import read_card
from var_spaces.training.engine.recipe import Recipe

# Largest values of a tiny run, by the name of the setting.
SETTINGS = {
    "eval_images": 4, "usage_images": 64, "fit_images": 64, "samples": 4, "compose": 0,
    "warmup_steps": 1, "branch": 1, "depths": 2,
}  # fmt: skip
KINDS = 3  # of control, each of which is judged and drawn by itself
SIZES = {"depth": 2, "width": 48, "heads": 2, "hidden": 32}
NETWORK = {"ch": 16, "num_res_blocks": 1}
TRAIN = {"batch_size": 2, "log_every": 1}


def tiny(data: Mapping[str, Any], recipe: type[Recipe], models: Path) -> dict[str, Any]:
    """A recipe file with small batches and evaluations and, where nothing given sets its size, a
    small network; one that starts from a smaller network has the size of that one.

    Args:
        models: where the model is that it starts from.

    Raises:
        VarSpacesError: if there is none.
    """
    chosen = data.get("recipe", {})
    start = chosen.get("start")
    alone = not (start or chosen.get("autoencoder"))
    sizes = SIZES if alone else _sizes(models / str(start)) if start else {}
    group = chosen.get("group", getattr(recipe.settings, "group", 1))  # divides batches of CLIP
    limits = SETTINGS | {"eval_images": max(group, 4)} | sizes
    small = dict(data)
    small["recipe"] = chosen | _limited(recipe.settings, chosen, limits)
    if alone and isinstance(chosen.get("kinds"), list):  # an adapter that goes on keeps its own
        small["recipe"]["kinds"] = chosen["kinds"][:KINDS]
    if recipe.network and alone:
        small["model"] = data.get("model", {}) | _limited(
            recipe.network, data.get("model", {}), NETWORK
        )
    small["train"] = data.get("train", {}) | TRAIN | {"batch_size": max(group, 2)}
    return small


def _sizes(folder: Path) -> dict[str, int]:
    """What a card says of the size of its network."""
    architecture = read_card(folder).get("architecture", {})
    return {name: architecture[name] for name in SIZES if name in architecture}


def _limited(section: type, given: Mapping[str, Any], limits: Mapping[str, int]) -> dict[str, Any]:
    """The settings of a section that are above their limit, at it; of lists each value."""
    values = {field.name: field.default for field in fields(section)} | dict(given)
    small = {}
    for name, limit in limits.items():
        value = values.get(name, limit)
        if isinstance(value, list | tuple):
            small[name] = sorted({min(one, limit) for one in value})
        elif value > limit:
            small[name] = limit
    return small
