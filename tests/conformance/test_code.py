"""CoDe run by the scale loop gives the numbers of the reference: hand-over, ids, in-painting."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from tests import tiny
from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.strategies.collaborative import Collaborative
from var_spaces.decoding.substitution import LatentBlending

pytestmark = pytest.mark.golden("code_collab")


def tokenizer_of(golden):
    """The tokenizer of another fixture with the schedule of this one."""
    config, weights = golden.spec["config"], golden.spec["vae_weights"]
    stem = weights["file"].removesuffix(".safetensors")
    made = tiny.tokenizer(golden.folder, stem)
    same = replace(made.config, patch_nums=tuple(config["patch_nums"]))
    return tiny.strict_load(type(made)(same), golden.state(weights["prefix"], weights["file"]))


def backbone_of(golden, name: str) -> VAR:
    config = golden.spec["config"]
    sizes = dict(config[name], patch_nums=tuple(config["patch_nums"]))
    sizes |= {"width": sizes["embed_dim"], "heads": sizes["num_heads"]}
    sizes |= {"vocab_size": config["vocab_size"], "latent_dim": config["z_channels"]}
    model = VAR(VARConfig(**tiny.pick(sizes, VARConfig.__dataclass_fields__)))
    return tiny.strict_load(model, golden.state(f"{name}/"))


@pytest.fixture(scope="module")
def models(golden):
    return tokenizer_of(golden), backbone_of(golden, "drafter"), backbone_of(golden, "refiner")


def run(golden, models, drafted, **changes):
    """Joined intermediate results, inputs of the scales, latents per scale and the image."""
    tokenizer, drafter, refiner = models
    seen = {}
    labels = golden.tensors["in/label"].tolist()
    setup = tiny.setup(
        range(len(labels)),
        tokenizer=tokenizer,
        backbone=drafter,
        extra={"refiner": refiner},
        schedule=drafter.schedule,
        conditioning=ClassConditioning(tuple(labels)),
        sampling=TopKTopP(top_k=1),
        guidance=LinearGuidance(scale=golden.spec["config"]["cfg"]),
        decoding=Collaborative(refiner="refiner", drafted=drafted),
        observe=lambda what, scale, tensor: seen.setdefault(what, []).append(tensor),
        **changes,
    )
    tiny.drain(loop.run(setup))
    return seen, (tokenizer.decode(seen["f_hat"][-1]) + 1) / 2


def close(golden, got, want):
    tolerance = golden.spec["tolerance"]
    limits = {"atol": tolerance["logits_atol"], "rtol": tolerance["logits_rtol"]}
    torch.testing.assert_close(got, want, **limits)


def test_main(golden, models):
    want, drafted = golden.tensors, golden.spec["config"]["N"]
    seen, image = run(golden, models, drafted)
    assert torch.equal(torch.cat(seen["ids"], 1), want["out/ids"])
    close(golden, torch.cat(seen["logits"], 1), want["out/cfg_logits"])
    close(golden, seen["f_hat"][drafted - 1], want["out/draft_fhat"])
    tokenizer, schedule = models[0], models[1].schedule
    hub = [tokenizer.next_input(seen["f_hat"][k], k, schedule) for k in range(drafted)]
    close(golden, torch.cat(hub, 1), want["out/token_hub"])
    atol = golden.spec["tolerance"]["image_atol"]
    torch.testing.assert_close(image, want["out/image"], atol=atol, rtol=0)


def test_other_hand_overs(golden, models):
    for drafted in golden.spec["config"]["extra_N"]:
        seen, image = run(golden, models, drafted)
        assert torch.equal(torch.cat(seen["ids"], 1), golden.tensors[f"out/extra_ids/N{drafted}"])
        mean = golden.tensors[f"out/extra_image_mean/N{drafted}"]
        atol = golden.spec["tolerance"]["image_atol"]
        torch.testing.assert_close(image.mean((2, 3)), mean, atol=atol, rtol=0)


def test_in_painting(golden, models):
    want, tokenizer, schedule = golden.tensors, models[0], models[1].schedule
    source = tokenizer.encode(want["in/inpaint/image"], schedule)
    keep, generate = want["in/inpaint/mask_keep"], want["in/inpaint/mask_generate"]
    assert torch.equal(generate, 1 - keep)
    blending = LatentBlending(tokenizer, source, keep[:, 0], schedule)
    shown = map(int, re.findall(r"\d+", golden.spec["tensors"]["out/inpaint/src_fhat"]["meaning"]))
    close(golden, torch.stack([blending.source[k] for k in shown]), want["out/inpaint/src_fhat"])
    seen, image = run(golden, models, golden.spec["config"]["N"], blending=blending)
    assert torch.equal(torch.cat(seen["ids"], 1), want["out/inpaint/ids"])
    atol = golden.spec["tolerance"]["image_atol"]
    torch.testing.assert_close(image, want["out/inpaint/image"], atol=atol, rtol=0)
