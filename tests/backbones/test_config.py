"""Sizes of published models, and configurations read from state dicts."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

from var_spaces.backbones.config import PUBLISHED_DEPTHS, VARConfig
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.var import VAR
from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.tokenizers.flex_vq import FlexVQ, FlexVQConfig
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig

# VAR paper, table of models; counted from the published files
PARAMETERS = {
    16: 310_283_520,
    20: 600_917_136,
    24: 1_033_399_360,
    30: 2_010_020_356,
    36: 2_353_893_904,
}


def on_meta(config: VARConfig) -> VAR:
    with torch.device("meta"):
        return VAR(config)


@pytest.mark.parametrize("depth", PUBLISHED_DEPTHS)
def test_published_models(depth):
    config = VARConfig.published(depth)
    model = on_meta(config)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[depth]
    inferred = VARConfig.from_state_dict(model.state_dict())
    assert inferred == dataclasses.replace(config, drop_path=0.0)


@pytest.mark.parametrize("depth", PUBLISHED_DEPTHS)
def test_published_keys_and_shapes(depth):
    """Keys of published files, written out; a manifest of shapes would be 12 kB per model."""
    c, layers = 64 * depth, range(depth)
    total = 2240 if depth == 36 else 680
    expected = {
        "pos_start": (1, 1, c),
        "pos_1LC": (1, total, c),
        "lvl_embed.weight": (10, c),
        "class_emb.weight": (1001, c),
        "word_embed.weight": (c, 32),
        "word_embed.bias": (c,),
        "head_nm.ada_lin.1.weight": (2 * c, c),
        "head_nm.ada_lin.1.bias": (2 * c,),
        "head.weight": (4096, c),
        "head.bias": (4096,),
    }
    for b in layers:
        expected |= {
            f"blocks.{b}.attn.scale_mul_1H11": (1, depth, 1, 1),
            f"blocks.{b}.attn.q_bias": (c,),
            f"blocks.{b}.attn.v_bias": (c,),
            f"blocks.{b}.attn.mat_qkv.weight": (3 * c, c),
            f"blocks.{b}.attn.proj.weight": (c, c),
            f"blocks.{b}.attn.proj.bias": (c,),
            f"blocks.{b}.ffn.fc1.weight": (4 * c, c),
            f"blocks.{b}.ffn.fc1.bias": (4 * c,),
            f"blocks.{b}.ffn.fc2.weight": (c, 4 * c),
            f"blocks.{b}.ffn.fc2.bias": (c,),
        }
    modulation = {"weight": (6 * c, c), "bias": (6 * c,)}
    if depth == 36:
        expected |= {f"shared_ada_lin.1.{k}": v for k, v in modulation.items()}
        expected |= {f"blocks.{b}.ada_gss": (1, 1, 6, c) for b in layers}
    else:
        expected |= {f"blocks.{b}.ada_lin.1.{k}": v for b in layers for k, v in modulation.items()}
    model = on_meta(VARConfig.published(depth))
    assert {k: tuple(v.shape) for k, v in model.state_dict().items()} == expected


def test_derivable_buffers_are_ignored():
    for key in ("lvl_1L", "attn_bias_for_masking", "blocks.35.attn.zero_k_bias"):
        assert re.fullmatch("|".join(VAR.ignored_keys), key)
    for key in ("pos_1LC", "blocks.0.attn.q_bias", "head.weight"):
        assert not re.fullmatch("|".join(VAR.ignored_keys), key)


def test_inference_reads_every_variant():
    config = VARConfig(
        depth=3,
        width=128,
        heads=2,
        vocab_size=16,
        latent_dim=4,
        num_classes=7,
        patch_nums=(1, 2, 4),
        attn_l2_norm=False,
        mlp_ratio=2.0,
        num_styles=5,
    )
    state = on_meta(config).state_dict()
    assert VARConfig.from_state_dict(state, patch_nums=(1, 2, 4)) == config
    state["lvl_1L"] = torch.tensor([[0] + [1] * 4 + [2] * 16])
    assert VARConfig.from_state_dict(state) == config


def test_inference_refuses_what_it_cannot_know():
    state = on_meta(VARConfig(2, 64, 1, 16, 4, 7, (1, 2, 4))).state_dict()
    with pytest.raises(VarSpacesError, match="21 tokens fits no published resolution"):
        VARConfig.from_state_dict(state)
    del state["head.weight"]
    with pytest.raises(VarSpacesError, match=r"Not a VAR state dict: it has no head\.weight"):
        VARConfig.from_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth must be at least 1"),
        ({"heads": 5}, "not a multiple of heads 5"),
        ({"num_styles": -1}, "num_styles must be 0 or more"),
        ({"drop_path": 1.0}, r"drop_path must be in \[0, 1\)"),
        ({"mlp_ratio": 0.0}, "greater than 0"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(VarSpacesError, match=message):
        dataclasses.replace(VARConfig(2, 64, 2, 16, 4, 7, (1, 2)), **change)


@pytest.mark.parametrize(
    "make",
    [
        lambda sides: VAR(VARConfig(2, 64, 2, 16, 4, 7, sides)),
        lambda sides: ResidualVQ(ResidualVQConfig(patch_nums=sides)),
        lambda sides: FlexVQ(FlexVQConfig(patch_nums=sides)),
        lambda sides: Bitwise(BitwiseConfig(patch_nums=sides)),
        lambda sides: Infinity(InfinityConfig(1, 16, 2, 4, sides)),
    ],
)
def test_usual_maps_that_are_not_square_are_refused(make):
    """They have one side per scale; a run draws any shape."""
    with torch.device("meta"), pytest.raises(VarSpacesError, match=r"square maps, not \(1, 1\)"):
        make(((1, 1), (2, 3)))


def test_unpublished_depth_is_refused():
    with pytest.raises(VarSpacesError, match="choose one of 16, 20, 24, 30, 36"):
        VARConfig.published(12)
