"""FlexVAR models built from golden fixtures."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.tiny import sides_of, strict_load
from var_spaces.backbones.flexvar import FlexVAR
from var_spaces.backbones.flexvar_config import FlexVARConfig
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.flex_vq import FlexVQ, FlexVQConfig
from var_spaces.zoo.writer import save_model


def tokenizer_of(config: dict, state: dict) -> FlexVQ:
    """The tokenizer of a fixture; a file with the decoder alone leaves the encoder as drawn."""
    sizes = {name: config[name] for name in ("ch", "ch_mult", "num_res_blocks", "z_channels")}
    model = FlexVQ(
        FlexVQConfig(**sizes, vocab_size=config["codebook_size"], latent_dim=config["codebook_dim"])
    )
    own = model.state_dict()
    left_out = {key: own[key] for key in own if key not in state}
    assert all(key.startswith(("encoder.", "quant_conv.")) for key in left_out), sorted(left_out)
    return strict_load(model, {**left_out, **state})


def backbone_of(config: dict, state: dict) -> FlexVAR:
    """The transformer of a fixture."""
    same = ("depth", "mlp_ratio", "num_classes", "vocab_size", "attn_l2_norm", "shared_aln")
    return strict_load(
        FlexVAR(
            FlexVARConfig(
                width=config["embed_dim"],
                heads=config["num_heads"],
                latent_dim=config["Cvae"],
                norm_eps=config["norm_eps"],
                pos_grid=config["pos_grid"],
                patch_nums=(1, 2, 3, 4),
                **{name: config[name] for name in same},
            )
        ),
        state,
    )


def save_tiny(folder: Path) -> None:
    """Random models of 16 px images, ``tiny-flex`` and its tokenizer, that draw any size."""
    vq = {"ch": 8, "ch_mult": [1, 1, 2], "num_res_blocks": 1, "norm_groups": 4, "z_channels": 8}
    vq |= {"latent_dim": 4, "vocab_size": 32, "patch_nums": (1, 2, 4)}
    flex = {"depth": 2, "width": 32, "heads": 2, "vocab_size": 32, "latent_dim": 4, "pos_grid": 8}
    flex |= {"num_classes": 2, "num_styles": 0, "patch_nums": (1, 2, 4)}
    common = {"format": 1, "resolution": 16, "licence": "Apache-2.0"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer, backbone = FlexVQ(FlexVQConfig(**vq)), FlexVAR(FlexVARConfig(**flex))
        for parameter in backbone.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    card = {"id": "tiny-flex-tokenizer", "title": "Tiny", "family": "flex-vq", "role": "tokenizer"}
    card |= {"architecture": vq}
    save_model(folder / card["id"], {**common, **card}, tokenizer.state_dict())
    card = {"id": "tiny-flex", "title": "Tiny FlexVAR", "family": "flexvar", "role": "generator"}
    card |= {"architecture": flex, "tokenizer": "tiny-flex-tokenizer", "classes": ("key", "dog")}
    card |= {"defaults": {"sampling": {"name": "flexvar"}, "guidance": {"name": "flexvar"}}}
    save_model(folder / card["id"], {**common, **card}, backbone.state_dict())


def named_schedule(text: str) -> ScaleSchedule:
    """The schedule that a fixture names in words: ``[1, 2, 4]`` or ``[(1, 1), (2, 3)]``."""
    return sides_of(json.loads(text.replace("(", "[").replace(")", "]")))
