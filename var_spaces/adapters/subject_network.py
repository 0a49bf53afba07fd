"""What is learned about one subject: rows of text, and other weights of some layers (ARBooth).

Fine-Tuning Visual Autoregressive Models for Subject-Driven Generation
(https://arxiv.org/abs/2504.02612, section 4.1). Names of parameters are those of the public code's
files, with blocks numbered through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from var_spaces.adapters.block_names import numbered, own_name
from var_spaces.adapters.low_rank import Update, fresh_updates, updated
from var_spaces.adapters.overlay import with_modules
from var_spaces.adapters.subject_layers import SubjectLayers
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig


class SubjectNetwork(nn.Module):
    """Rows of text and weights that lie over a base model."""

    ignored_keys = (r".*\.zero_k_bias",)

    def __init__(self, layers: SubjectLayers, base: InfinityConfig) -> None:
        super().__init__()
        self.layers = layers
        self.special_token = nn.Parameter(torch.zeros(layers.rows, base.text_dim))
        with torch.device("meta"):  # its layers tell sizes; blocks are numbered through
            model = Infinity(_flat(base))
        self.blocks = nn.ModuleList(nn.Module() for _ in range(base.depth))
        if layers.rank:
            thin = fresh_updates(model, lambda name: layers.holds(name), layers.rank, layers.alpha)
            for name, layer in thin.items():
                _place(self, name, layer)
        else:
            for block, sized in zip(self.blocks, model.layers, strict=True):
                for part in layers.parts:
                    block.add_module(part, sized.get_submodule(part).to_empty(device=_device()))

    @torch.no_grad()
    def start_from(self, model: Infinity) -> SubjectNetwork:
        """Take the weights of the base model, in float32; low-rank layers add nothing yet."""
        if not self.layers.rank:
            for block, own in zip(model.layers, self.blocks, strict=True):
                for part in self.layers.parts:
                    state = block.get_submodule(part).state_dict()
                    own.get_submodule(part).load_state_dict(state)
        return self

    def over(self, model: Infinity) -> Infinity:
        """A shell of the base model with these weights."""
        layers = {
            name: layer
            for name, layer in self.blocks.named_modules(prefix="blocks")
            if isinstance(layer, Update) or (name.count(".") == 2 and not self.layers.rank)
        }
        named = {own_name(name, model.config): layer for name, layer in layers.items()}
        return updated(model, named) if self.layers.rank else with_modules(model, named)

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A file's tensors as this module spells them; of a whole model's only what is learned."""
        found = numbered(state)
        if "word_embed.weight" not in found:
            return found
        return {key: found[key] for key in self.state_dict() if key in found}


def _flat(base: InfinityConfig) -> InfinityConfig:
    return replace(base, chunks=1)


def _device() -> torch.device:
    return torch.get_default_device()


def _place(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer under a dotted name, with containers on the way."""
    *way, leaf = name.split(".")
    for step in way:
        if step not in module._modules:
            module.add_module(step, nn.Module())
        module = module._modules[step]
    module.add_module(leaf, layer)
