"""Builders of the recipes that continue from trained transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from var_spaces.training.engine.config import TrainConfig, build
from var_spaces.training.engine.export import load_tokenizer, load_transformer
from var_spaces.training.recipes.collaborative import DrafterRecipe, RefinerRecipe, SpecialistConfig
from var_spaces.training.recipes.supernet import SupernetConfig, SupernetRecipe
from var_spaces.training.recipes.transformer import ClassTraining

if TYPE_CHECKING:
    from var_spaces.training.engine.runs import Options
    from var_spaces.training.engine.trainer import Recipe

Builder = Callable[[dict, TrainConfig, "Options", torch.device], "Recipe"]


def continuing(recipe: Callable[..., Recipe], settings: type[ClassTraining]) -> Builder:
    """Builder of a recipe that starts from the model its settings name, with its teacher if any."""

    def builder(data: dict, train: TrainConfig, options: Options, device: torch.device) -> Recipe:
        config: Any = build(settings, data.get("recipe", {}), "[recipe]")
        tokenizer = load_tokenizer(options.models / config.tokenizer)
        start = load_transformer(options.models / config.start).requires_grad_(True)
        teacher = getattr(config, "teacher", "")
        more = {"teacher": load_transformer(options.models / teacher)} if teacher else {}
        return recipe(tokenizer, config, train.seed, device, start, **more)

    return builder


FINE_TUNING_BUILDERS: dict[str, Builder] = {
    "supernet": continuing(SupernetRecipe, SupernetConfig),
    "drafter": continuing(DrafterRecipe, SpecialistConfig),
    "refiner": continuing(RefinerRecipe, SpecialistConfig),
}
