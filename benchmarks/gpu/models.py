"""Published sizes with random weights: time and memory do not depend on what they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from var_spaces.backbones.config import PATCH_NUMS, VARConfig
from var_spaces.backbones.hmar import HMAR
from var_spaces.backbones.hmar_config import HMARConfig
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.backbones.var import VAR
from var_spaces.decoding.backbone import NULL, blocks
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.zoo.skeleton import skeleton

WORDS = 64  # of a prompt, in tokens
STD = 0.02


@dataclass(frozen=True)
class Size:
    """A model at a resolution.

    Attributes:
        backbone, tokenizer: build them.
        schedule: token maps.
        card: of the zoo, whose estimate of memory is compared; empty for none.
    """

    backbone: Callable[[], nn.Module]
    tokenizer: Callable[[], nn.Module]
    schedule: ScaleSchedule
    card: str = ""


def size(name: str, pixels: int, tiny: bool = False) -> Size:
    """A published model: ``var-d30``, ``hmar-d16``, ``infinity-2b``; ``tiny`` is one like it."""
    family, _, which = name.partition("-")
    if family == "infinity":
        return _infinity(which, pixels, tiny)
    nums = (1, 2, 3, 4) if tiny else PATCH_NUMS[pixels]
    config = replace(VARConfig.published(int(which[1:])), patch_nums=nums)
    if tiny:
        config = replace(config, depth=4, width=64, heads=4, vocab_size=64, latent_dim=8)
    hmar = HMARConfig.branching(config, min(8, config.depth - 1))
    small = {"ch": 32, "ch_mult": (1, 1), "vocab_size": 64, "z_channels": 8} if tiny else {}
    tokenizer = ResidualVQConfig(patch_nums=nums, **small)
    return Size(
        (lambda: HMAR(hmar)) if family == "hmar" else (lambda: VAR(config)),
        lambda: ResidualVQ(tokenizer),
        ScaleSchedule.square(nums),
        _card(name, pixels, tiny),
    )


def _card(name: str, pixels: int, tiny: bool) -> str:
    """Card of a model at the resolution of its files; empty for another one, or of another size."""
    cards = {"var-d36": (512, "var-d36-512")}
    at, card = cards.get(name, (256, name))
    return card if pixels == at and not tiny else ""


def _infinity(which: str, pixels: int, tiny: bool) -> Size:
    config = InfinityConfig.published(which)
    sides = tuple(side for side in config.patch_nums if 16 * side <= pixels)
    if tiny:
        sides = (1, 2, 4)
        config = replace(config, depth=4, width=64, heads=4, latent_dim=8, chunks=1, text_dim=32)
        config = replace(config, patch_nums=sides, text_len=2 * WORDS, pool_heads=4)
    kind = {"125m": "d16", "2b": "d32reg", "8b": "d56_f8_14_patchify"}[which]
    small = {"ch": 32, "ch_mult": (1, 1), "bits": 8, "patchify": False} if tiny else {}
    tokenizer = replace(BitwiseConfig.published(kind), patch_nums=sides, **small)
    return Size(
        lambda: Infinity(config),
        lambda: Bitwise(tokenizer),
        ScaleSchedule.square(sides),
        "" if tiny or pixels != 1024 else f"infinity-{which}",
    )


def fresh(build: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A module of random weights of a type, made where it stays."""
    module = skeleton(build)
    torch.manual_seed(0)
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                made = torch.empty(weight.shape, device=device, dtype=dtype).normal_(std=STD)
                if weight.dim() == 1 and name == "weight":  # of a norm
                    made += 1
                part._parameters[name] = nn.Parameter(made, requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = buffer.to(device)
    return module.eval()


@dataclass(frozen=True)
class RandomText:
    """Prompts of random features, so that no encoder of several GB is needed."""

    def embed(self, backbone: Any, rows: Sequence[Any], adapter: Any = None) -> Any:
        """Condition of all rows; see ``decoding/setup.py``."""
        weight, parts = backbone.text_proj_for_ca[0].weight, []
        generator = torch.Generator().manual_seed(0)
        for name, images in blocks(rows).items():
            lengths = (WORDS,) * len(images)
            if name == NULL:
                parts.append(backbone.empty_text(lengths))
                continue
            drawn = torch.randn(sum(lengths), weight.shape[1], generator=generator)
            parts.append(TextFeatures(drawn.to(weight), lengths))
        return backbone.condition(concatenate(parts))
