"""Infinity's tokenizer and transformer with the random weights of the golden fixtures."""

from __future__ import annotations

from pathlib import Path

import torch

from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.zoo.writer import save_model

PATCH_NUMS = [1, 2, 4]


def close(actual: torch.Tensor, expected: torch.Tensor, spec: dict) -> None:
    """Within the tolerance of the fixture."""
    tolerance = spec["tolerance"]
    atol, rtol = tolerance["float32_atol"], tolerance["float32_rtol"]
    torch.testing.assert_close(actual, expected, atol=atol, rtol=rtol)


def schedule_of(sizes) -> ScaleSchedule:
    return ScaleSchedule(tuple((h, w) for _, h, w in sizes))


def tokenizer_of(spec: dict, state: dict) -> Bitwise:
    """The tokenizer of an ``infinity_bsq_tokenizer`` fixture."""
    config = spec["config"]
    model = Bitwise(
        BitwiseConfig(
            ch=config["base_ch"],
            ch_mult=tuple(config["ch_mult"]),
            num_res_blocks=config["num_res_blocks"],
            bits=config["codebook_dim"],
            in_channels=config["in_channels"],
            patch_nums=tuple(h for _, h, _ in spec["scale_schedule"]),
        )
    )
    state = {k: v.float() for k, v in model.adapt_state(state).items() if "mask" not in k}
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def flat(bits: torch.Tensor) -> torch.Tensor:
    """``(B, h, w, d)`` uint8 of a fixture as ``(B, l, d)`` int64."""
    return bits.flatten(1, 2).long()


def model_of(spec: dict, state: dict) -> Infinity:
    """The transformer of a fixture's config and weights."""
    config = spec["config"]
    model = Infinity(
        InfinityConfig(
            depth=config["depth"],
            width=config["embed_dim"],
            heads=config["num_heads"],
            latent_dim=config["head_out"] // 2,
            patch_nums=tuple(h for _, h, _ in spec["scale_schedule"]),
            text_dim=config["text_channels"],
            text_len=config["text_maxlen"],
            chunks=config["block_chunks"],
            levels=state["lvl_embed.weight"].shape[0],
            pool_heads=config["attn_pool_heads"],
            rope_mode=config.get("rope2d_normalized_by_hw", 2),
        )
    )
    assert model.config.hidden == config["mlp_hidden"]
    state = {k: v.float() for k, v in model.adapt_state(state).items() if "zero_k" not in k}
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def write_models(root: Path) -> Path:
    """A models folder with random ``tiny-bits`` and ``tiny-t2i``, a text-to-image model."""
    torch.manual_seed(0)
    tokenizer = {"ch": 16, "ch_mult": [1, 2], "num_res_blocks": 1, "bits": 6, "norm_groups": 8}
    tokenizer |= {"patch_nums": PATCH_NUMS}
    backbone = {"depth": 2, "width": 48, "heads": 2, "latent_dim": 6, "text_dim": 384}
    backbone |= {"text_len": 16, "patch_nums": PATCH_NUMS, "levels": 6, "rope_extent": 4}
    model = Infinity(InfinityConfig(**backbone))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    common = {"format": 1, "resolution": 8, "licence": "Apache-2.0"}
    card = {"id": "tiny-bits", "title": "Tiny bits", "family": "bitwise", "role": "tokenizer"}
    bits = Bitwise(BitwiseConfig(**tokenizer))
    save_model(root / card["id"], {**common, **card, "architecture": tokenizer}, bits.state_dict())
    card = {"id": "tiny-t2i", "title": "Tiny text to image", "family": "infinity"}
    card |= {"role": "generator", "tokenizer": "tiny-bits", "architecture": backbone}
    card |= {"text_encoder": {"name": "minilm", "max_length": 16}}
    card["defaults"] = {
        "task": {"name": "text-to-image"},
        "sampling": {"name": "bits", "top_p": 0.9},
        "guidance": {"name": "per-scale", "scale": 2},
    }
    save_model(root / card["id"], {**common, **card}, model.state_dict())
    return root
