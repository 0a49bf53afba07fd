"""The Infinity transformer gives the numbers of the reference: rotary, teacher forcing, shapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.infinity import close, model_of, schedule_of
from var_spaces.aspect import PRESETS, TEMPLATES, nearest_template, published
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.rope import Rotary, rotary
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig

GOLDEN = Path(__file__).parent.parent / "golden"
MANIFESTS = GOLDEN / "manifests"


@pytest.mark.golden("infinity_teacher_forced")
def test_teacher_forced(golden):
    spec, tensors = golden.spec, golden.tensors
    weights = golden.stem.replace("teacher_forced", "tiny_weights") + ".safetensors"
    model = model_of(spec, golden.state("", file=weights))
    schedule = schedule_of(spec["scale_schedule"])
    config = spec["config"]
    tokenizer = Bitwise(BitwiseConfig(ch=32, ch_mult=(1,), bits=config["vae_codebook_dim"]))
    bits, latents = tokenizer.quantize(tensors["raw_features"], schedule)
    targets = torch.cat(bits, 1)
    x_in = tokenizer.inputs(latents, schedule)
    assert torch.equal(targets, tensors["gt_bits"].long())
    close(x_in, tensors["x_in"], spec)

    text = TextFeatures(tensors["text_features"], spec["text_lens"])
    dropped = torch.tensor(spec["text_drop_mask"]).bool()
    cond = model.condition(model.without_text(text, dropped))
    close(cond.pooled, tensors["cond_BD"], spec)
    packed = torch.cat([row[:n] for row, n in zip(cond.text, text.lengths, strict=True)])
    close(packed, tensors["ca_kv"], spec)
    gss = model.shared_ada_lin(cond.pooled).view_as(tensors["gss"])
    close(gss, tensors["gss"], spec)

    seen = {}
    for b, block in enumerate(model.layers):
        block.register_forward_hook(lambda _m, _i, out, b=b: seen.__setitem__(b, out))
    logits = model(text, tensors["x_in"], schedule, dropped)
    for b, out in seen.items():
        first = spec["block_out_tokens_saved"]
        close(out[:, :first], tensors[f"block_out_{b}_first"], spec)
    close(logits.flatten(2), tensors["logits"], spec)

    losses = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none")
    losses = losses.view(targets.shape).mean(-1)
    per_scale = [losses[:, schedule.span(k)].mean() for k in range(schedule.num_scales)]
    close(torch.stack(per_scale), tensors["ce_per_scale"], spec)
    close(losses.mean(), tensors["loss_mean"].squeeze(), spec)
    weights = torch.cat([torch.full((n,), n**-0.5) for n in schedule.lengths])
    reweighted = (losses * weights / weights.sum()).sum(1).mean()
    close(reweighted, tensors["loss_reweighted"].squeeze(), spec)


@pytest.mark.golden("infinity_patchify")
def test_patchified_tokens(golden):
    spec, tensors = golden.spec, golden.tensors
    model = model_of(spec, golden.state("w."))
    text = TextFeatures(tensors["tf_text_features"], spec["text_lens"])
    logits = model(text, tensors["x_in"], schedule_of(spec["scale_schedule"]))
    close(logits.flatten(2), tensors["tf_logits"], spec)


@pytest.mark.golden("infinity_rope2d")
def test_rotary(golden):
    spec, tensors = golden.spec, golden.tensors
    dim = spec["config"]["head_dim"]
    for name, expected in tensors.items():
        if not name.startswith("mode"):
            continue
        mode, ratio, part = int(name[4]), float(name.split("_")[-2]), name.split("_")[-1]
        assert nearest_template(ratio) == ratio
        table = torch.stack(rotary(TEMPLATES[ratio], dim, mode))
        n = expected.shape[1]
        close(table[:, :n] if part == "head" else table[:, -n:], expected, spec)
        for preset in PRESETS:  # smaller presets are beginnings of the same table
            short = torch.stack(rotary(published(preset, ratio), dim, mode))
            assert torch.equal(short, table[:, : short.shape[1]])
    whole = rotary(TEMPLATES[spec["config"]["applied_ratio"]], dim)
    scale = TEMPLATES[spec["config"]["applied_ratio"]].span(spec["config"]["applied_scale_index"])
    here: Rotary = whole.span(scale)
    close(here.turn(tensors["q"]), tensors["q_rot"], spec)
    close(here.turn(tensors["k"]), tensors["k_rot"], spec)


@pytest.mark.parametrize("ratio", TEMPLATES)
def test_mode_1_shrinks_one_map_of_the_last_grids_ratio(ratio):
    """For every scale the same map: 128 positions along the longer side, cut to that ratio."""
    schedule, dim, side = TEMPLATES[ratio], 8, 128
    (height, width), longest = schedule.last, max(schedule.last)
    frequencies = 10_000 ** (-2 * torch.arange(dim // 4) / (dim / 2))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    turned = torch.cat((rows[..., None] * frequencies, columns[..., None] * frequencies), -1)
    whole = torch.stack((turned.cos(), turned.sin())).permute(0, 3, 1, 2)
    cut = whole[:, :, : side * height // longest, : side * width // longest]
    scales = [
        F.interpolate(cut, size=size, mode="bilinear", align_corners=True).flatten(2).mT
        for size in schedule.sizes
    ]
    ours = torch.stack(rotary(schedule, dim, 1))
    torch.testing.assert_close(ours, torch.cat(scales, 1), atol=1e-5, rtol=0)


def test_schedules():
    table = json.loads((GOLDEN / "infinity_scale_schedules.json").read_text("utf-8"))
    assert sorted(TEMPLATES) == sorted(table["templates"])
    for ratio, presets in table["schedules"].items():
        assert set(presets) == set(PRESETS)
        for preset, expected in presets.items():
            ours = published(preset, float(ratio))
            assert [list(size) for size in ours.sizes] == expected["scales_hw"]
            assert ours.total == expected["tokens"]
            assert [16 * side for side in ours.last] == expected["pixel_hw"]


@pytest.mark.parametrize("size", ["125m", "2b", "8b"])
def test_manifest(size):
    """Keys and shapes of published transformers."""
    wanted = json.loads((MANIFESTS / f"infinity_{size}.json").read_text("utf-8"))
    wanted = {key: tuple(shape) for key, (shape, _) in wanted.items()}
    meta = json.loads((MANIFESTS / "infinity_manifest_meta.json").read_text("utf-8"))
    with torch.device("meta"):
        model = Infinity(InfinityConfig.published(size))
        state = {key: torch.empty(shape) for key, shape in wanted.items()}
    own = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert own == {k: v for k, v in wanted.items() if not k.endswith("zero_k_bias")}
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == meta[f"infinity_{size}"]["n_parameters"]
    assert set(model.adapt_state(state)) == set(wanted)
