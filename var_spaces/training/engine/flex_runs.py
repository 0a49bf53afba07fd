"""Builders of the recipes for FlexVAR's tokenizer and transformer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from var_spaces.tokenizers.flex_vq import FlexVQ, FlexVQConfig
from var_spaces.training.engine.config import TrainConfig, build
from var_spaces.training.engine.export import fill, load_tokenizer, load_transformer, read_card
from var_spaces.training.recipes.flex_tokenizer import FlexTokenizerConfig, FlexTokenizerRecipe
from var_spaces.training.recipes.flex_transformer import (
    FlexTransformerConfig,
    FlexTransformerRecipe,
)

if TYPE_CHECKING:
    from var_spaces.training.engine.runs import Options
    from var_spaces.training.engine.trainer import Recipe


def build_flex_tokenizer(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> FlexTokenizerRecipe:
    config = build(FlexTokenizerConfig, data.get("recipe", {}), "[recipe]")
    return FlexTokenizerRecipe(
        build(FlexVQConfig, data.get("model", {}), "[model]"),
        config,
        train.seed,
        device,
        start=load_tokenizer(options.models / config.start) if config.start else None,
    )


def load_flex_tokenizer(folder: Path) -> FlexVQ:
    """Read a scalable tokenizer's model folder without the zoo.

    Raises:
        VarSpacesError: if the folder holds none.
    """
    card = read_card(folder, "flex-tokenizer --config flex-tokenizer")
    return fill(FlexVQ(build(FlexVQConfig, card["architecture"], f"the card in {folder}")), folder)


def build_flex_transformer(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> FlexTransformerRecipe:
    config = build(FlexTransformerConfig, data.get("recipe", {}), "[recipe]")
    tokenizer = load_flex_tokenizer(options.models / config.tokenizer)
    start = load_transformer(options.models / config.start) if config.start else None
    return FlexTransformerRecipe(tokenizer, config, train.seed, device, start)


FLEX_BUILDERS: dict[str, Callable[..., Recipe]] = {
    "flex-tokenizer": build_flex_tokenizer,
    "flex-transformer": build_flex_transformer,
}
