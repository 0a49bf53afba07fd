"""Infinity's tokenizer and transformer with the random weights of the golden fixtures."""

from __future__ import annotations

import torch

from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig


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
            pool_heads=config["attn_pool_heads"],
            rope_mode=config.get("rope2d_normalized_by_hw", 2),
        )
    )
    assert model.config.hidden == config["mlp_hidden"]
    state = {k: v.float() for k, v in model.adapt_state(state).items() if "zero_k" not in k}
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)
