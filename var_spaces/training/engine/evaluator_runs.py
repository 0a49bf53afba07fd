"""Networks that look at pictures: builders of the recipes of parser and CLIP, and their use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from var_spaces.conditioning.packed_encoder import load_minilm
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.clip_network import Clip, ClipConfig
from var_spaces.training.engine.config import TrainConfig, build
from var_spaces.training.engine.export import load_clip, load_judge, load_tokenizer, read_card
from var_spaces.training.engine.text_runs import load_bitwise
from var_spaces.training.losses.perceptual import PerceptualLoss
from var_spaces.training.recipes.clip import ClipRecipe, ClipTraining, NamingClip
from var_spaces.training.recipes.parser import ParserRecipe, ParserTraining

if TYPE_CHECKING:
    from var_spaces.training.engine.runs import Options
    from var_spaces.training.engine.trainer import Recipe

# The network of a perceptual loss, by family of the model that has it.
TRUNKS: dict[str, Callable[[Path], nn.Module]] = {
    "judge": lambda folder: load_judge(folder)[0].trunk,
    "clip": lambda folder: load_clip(folder).visual,
}
LOADERS = {"residual-vq": load_tokenizer, "bitwise": load_bitwise}


def build_clip(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> ClipRecipe:
    config = build(ClipTraining, data.get("recipe", {}), "[recipe]")
    network = build(ClipConfig, data.get("model", {}), "[model]")
    tokenizers = load_tokenizers(config.tokenizers, options)
    return ClipRecipe(network, tokenizers, load_minilm(), config, train, device)


def build_parser(
    data: dict, train: TrainConfig, options: Options, device: torch.device
) -> ParserRecipe:
    config = build(ParserTraining, data.get("recipe", {}), "[recipe]")
    return ParserRecipe(load_tokenizers(config.tokenizers, options), config, train.seed, device)


def perceptual_loss(name: str, options: Options) -> PerceptualLoss | None:
    """The loss under a trained judge or CLIP by its id; None for an empty one.

    Raises:
        VarSpacesError: if there is no such model or none that serves.
    """
    if not name:
        return None
    folder = options.evaluators / name
    family = read_card(folder, "judge --config judge")["family"]
    if family not in TRUNKS:
        raise VarSpacesError(
            f"[recipe] perceptual = '{name}' is a {family}; choose a {' or a '.join(TRUNKS)}."
        )
    return PerceptualLoss(TRUNKS[family](folder))


def without_heads(model: NamingClip) -> Clip:
    """What open_clip knows of a trained network."""
    return model.clip.eval()


def load_tokenizers(names: Sequence[str], options: Options) -> list[nn.Module]:
    """Image tokenizers by id, of any family."""
    recipes = "tokenizer --config vq-tokenizer' or 'bitwise --config bit-tokenizer"
    folders = [options.models / name for name in names]
    return [LOADERS[read_card(folder, recipes)["family"]](folder) for folder in folders]


EVALUATOR_BUILDERS: dict[str, Callable[..., Recipe]] = {"clip": build_clip, "parser": build_parser}
