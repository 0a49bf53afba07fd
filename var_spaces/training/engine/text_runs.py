"""Builders of the recipes for bitwise tokenizers and text-to-image transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from var_spaces.conditioning.packed_encoder import load_minilm
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.training.engine.config import TrainConfig, build
from var_spaces.training.engine.export import fill, load_tokenizer, read_card
from var_spaces.training.recipes.bitwise import BitwiseRecipe, BitwiseTraining
from var_spaces.training.recipes.text_transformer import (
    TextTransformerConfig,
    TextTransformerRecipe,
)

if TYPE_CHECKING:
    from var_spaces.training.engine.runs import Options
    from var_spaces.training.engine.trainer import Recipe


def build_bitwise(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> BitwiseRecipe:
    config = build(BitwiseTraining, data.get("recipe", {}), "[recipe]")
    return BitwiseRecipe(
        build(BitwiseConfig, data.get("model", {}), "[model]"),
        config,
        train.seed,
        device,
        start=load_tokenizer(options.models / config.start) if config.start else None,
    )


def build_text_transformer(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> TextTransformerRecipe:
    config = build(TextTransformerConfig, data.get("recipe", {}), "[recipe]")
    tokenizer = load_bitwise(options.models / config.tokenizer)
    encoder = load_minilm(device=device, max_length=config.text_tokens)
    return TextTransformerRecipe(tokenizer, encoder, config, train.seed, device)


def load_bitwise(folder: Path) -> Bitwise:
    """Read a bitwise tokenizer's model folder without the zoo.

    Raises:
        VarSpacesError: if the folder holds none.
    """
    card = read_card(folder, "bitwise --config bit-tokenizer")
    return fill(
        Bitwise(build(BitwiseConfig, card["architecture"], f"the card in {folder}")), folder
    )


TEXT_BUILDERS: dict[str, Callable[..., Recipe]] = {
    "bitwise": build_bitwise,
    "text-transformer": build_text_transformer,
}
