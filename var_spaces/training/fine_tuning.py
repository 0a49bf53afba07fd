"""Builders of the recipes that continue from trained transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from var_spaces.training.config import TrainConfig, build
from var_spaces.training.export import load_tokenizer, load_transformer
from var_spaces.training.supernet import SupernetConfig, SupernetRecipe

if TYPE_CHECKING:
    from var_spaces.training.runs import Options
    from var_spaces.training.trainer import Recipe


def build_supernet(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> SupernetRecipe:
    config = build(SupernetConfig, data.get("recipe", {}), "[recipe]")
    tokenizer = load_tokenizer(options.models / config.tokenizer)
    start = load_transformer(options.models / config.start).requires_grad_(True)
    return SupernetRecipe(tokenizer, config, train.seed, device, start)


FINE_TUNING_BUILDERS: dict[str, Callable[..., Recipe]] = {"supernet": build_supernet}
