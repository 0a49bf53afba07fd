"""The VAR transformer gives the numbers of the reference: teacher forcing and cached sampling.

The loops are written out here, so that they check the backbone, its cache and the tokenizer apart
from the engine.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from var_spaces.backbones.var import VAR, VARConfig
from var_spaces.cache.kv import KVCache
from var_spaces.decoding.base import guide
from var_spaces.decoding.sampling.top_k_top_p import filter_top_k_top_p, smooth_weights
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig

pytestmark = pytest.mark.golden("var_model_")


def config_of(golden) -> VARConfig:
    config = golden.spec["config"]
    same = {"depth", "shared_aln", "attn_l2_norm", "mlp_ratio", "norm_eps", "vocab_size"}
    return VARConfig(
        width=config["embed_dim"],
        heads=config["num_heads"],
        latent_dim=config["z_channels"],
        num_classes=config["num_classes"],
        patch_nums=tuple(config["patch_nums"]),
        **{name: config[name] for name in same},
    )


@pytest.fixture(scope="module")
def backbone(golden) -> VAR:
    model = VAR(config_of(golden)).eval()
    left = model.load_state_dict(golden.state(), strict=False)
    assert not left.missing_keys
    return model


@pytest.fixture(scope="module")
def tokenizer(golden) -> ResidualVQ:
    source = golden.spec["vae_weights"]
    spec = type(golden)(golden.folder, Path(source["file"]).stem).spec["config"]
    known = {f.name for f in dataclasses.fields(ResidualVQConfig)}
    model = ResidualVQ(ResidualVQConfig(**{k: v for k, v in spec.items() if k in known})).eval()
    left = model.load_state_dict(golden.state(source["prefix"], source["file"]), strict=False)
    assert not left.missing_keys
    return model


def close(golden, actual: Tensor, expected: Tensor, atol: str, rtol: float = 0.0) -> None:
    limit = golden.spec["tolerance"][atol]
    torch.testing.assert_close(actual, expected, atol=limit, rtol=rtol)


def close_logits(golden, actual: Tensor, name: str) -> None:
    rtol = golden.spec["tolerance"]["logits_rtol"]
    close(golden, actual, golden.tensors[name], "logits_atol", rtol)


# Codes of one scale (B, l, z) from guided logits (B, l, V), and the ids if they are drawn.
Draw = Callable[[Tensor, int], Tensor]


def sample(backbone: VAR, tokenizer: ResidualVQ, labels: Tensor, cfg: float, draw: Draw) -> dict:
    """Cached sampling with guidance; logits of all scales concatenated, and the image in [0, 1]."""
    schedule, rows = backbone.schedule, 2 * len(labels)
    layers, heads, head_dim = backbone.kv_layout()
    cache = KVCache(
        layers=layers, rows=rows, heads=heads, head_dim=head_dim, capacity=schedule.total
    )
    null = torch.full_like(labels, backbone.null_label)
    context = backbone.context(backbone.condition(torch.cat((labels, null))))
    f_hat = tokenizer.new_latent(len(labels), schedule, torch.device("cpu"))
    x = backbone.start(context)
    raw, guided = [], []
    for scale in range(schedule.num_scales):
        hidden = backbone.forward_scale(x, range(scale, scale + 1), context, cache)
        raw.append(backbone.logits(hidden, context))
        parts = dict(zip(("full", "null"), raw[-1].chunk(2), strict=True))
        guided.append(guide(parts, cfg * schedule.ratio(scale)))
        f_hat = tokenizer.accumulate(f_hat, draw(guided[-1], scale), scale, schedule)
        if scale < schedule.num_scales - 1:
            tokens = tokenizer.next_input(f_hat, scale, schedule)
            x = backbone.embed_scale(tokens, scale + 1, context).repeat(2, 1, 1)
    return {
        "raw": torch.cat(raw, 1),
        "guided": torch.cat(guided, 1),
        "f_hat": f_hat,
        "image": (tokenizer.decode(f_hat) + 1) / 2,
    }


def test_state_dict_is_understood(golden):
    """The file tells its own configuration; what we do not load is derivable."""
    config = config_of(golden)
    inferred = VARConfig.from_state_dict(golden.state(), heads=config.heads)
    # Not in the file: epsilon, and the ratio before it was rounded to a hidden width.
    unknown = {"norm_eps": config.norm_eps, "mlp_ratio": config.mlp_ratio}
    assert dataclasses.replace(inferred, **unknown) == config
    left = VAR(config).load_state_dict(golden.state(), strict=False)
    ignored = re.compile("|".join(VAR.ignored_keys))
    assert all(ignored.fullmatch(key) for key in left.unexpected_keys)


@torch.no_grad()
def test_teacher_forcing(golden, backbone):
    t = golden.tensors
    for case in ("tf", "tf2"):
        close_logits(
            golden, backbone(t[f"in/{case}_label"], t[f"in/{case}_input"]), f"out/{case}_logits"
        )


@torch.no_grad()
def test_teacher_forcing_input(golden, tokenizer):
    scales = len(golden.spec["config"]["patch_nums"])
    ids = [golden.tensors[f"in/tf_idx/{k}"] for k in range(scales)]
    torch.testing.assert_close(
        tokenizer.teacher_forcing(ids), golden.tensors["in/tf_input"], atol=2e-4, rtol=1e-3
    )


@torch.no_grad()
def test_argmax_sampling(golden, backbone, tokenizer):
    ids: list[Tensor] = []

    def draw(logits: Tensor, scale: int) -> Tensor:
        ids.append(logits.argmax(-1))
        return tokenizer.embed(ids[-1])

    labels, cfg = golden.tensors["in/ar_label"], golden.spec["ar"]["cfg"]
    result = sample(backbone, tokenizer, labels, cfg, draw)
    assert torch.equal(torch.cat(ids, 1), golden.tensors["out/ar_ids"])
    close_logits(golden, result["raw"], "out/ar_raw_logits")
    close_logits(golden, result["guided"], "out/ar_cfg_logits")
    close(golden, result["f_hat"], golden.tensors["out/ar_fhat_last"], "image_atol")
    close(golden, result["image"], golden.tensors["out/ar_image"], "image_atol")


@torch.no_grad()
def test_smooth_sampling(golden, backbone, tokenizer):
    t, settings = golden.tensors, golden.spec["smooth"]
    codes: list[Tensor] = []

    def draw(logits: Tensor, scale: int) -> Tensor:
        noise = -t["in/smooth_exp_noise"][:, backbone.schedule.span(scale)].log()
        kept = filter_top_k_top_p(logits, settings["top_k"], settings["top_p"])
        weights = smooth_weights(kept, noise, backbone.schedule.ratio(scale))
        codes.append(weights @ tokenizer.codebook)
        return codes[-1]

    result = sample(backbone, tokenizer, t["in/smooth_label"], settings["cfg"], draw)
    close(golden, torch.cat(codes, 1), t["out/smooth_h"], "smooth_h_atol")
    close(golden, result["guided"], t["out/smooth_cfg_logits"], "smooth_logits_atol")
    close(golden, result["image"], t["out/smooth_image"], "smooth_image_atol")
