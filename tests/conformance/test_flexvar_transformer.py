"""FlexVAR against the reference implementation: ``flexvar_transformer*``."""

from __future__ import annotations

import re

import pytest
import torch

from tests import tiny
from tests.flex import backbone_of, named_schedule, tokenizer_of
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.flexvar import FlexGuidance
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.sampling.flexvar import FlexSampling
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.losses.tokens import token_losses

pytestmark = pytest.mark.golden("flexvar_transformer")
LOGITS = {"rtol": 1e-3, "atol": 1e-3}
IMAGE = {"rtol": 0, "atol": 1e-3}


@pytest.fixture(scope="module")
def models(golden):
    config = golden.spec["config"]
    tokenizer = tokenizer_of(config["vae"], golden.state("vae/"))
    return tokenizer, backbone_of(config, golden.state("var/"))


def taught(golden) -> dict[str, ScaleSchedule]:
    """Teacher-forced cases and their schedules, which the fixture names in words."""
    found = {}
    for name, about in golden.spec["tensors"].items():
        sides = re.search(r"schedule (\[[\d, \[\]()]+\])", about["meaning"])
        if re.fullmatch(r"tf\d+\.ids", name) and sides:
            found[name.split(".")[0]] = named_schedule(sides[1])
    assert found
    return found


def test_teacher_forcing(golden, models):
    tokenizer, backbone = models
    want = golden.tensors
    for case, schedule in taught(golden).items():
        ids = want[f"{case}.ids"].split(schedule.lengths, dim=1)
        tokens = tokenizer.teacher_forcing(ids, schedule)
        torch.testing.assert_close(tokens, want[f"{case}.x_in"], rtol=1e-4, atol=1e-4)
        backbone.requires_grad_(True).zero_grad()
        logits = backbone(want[f"{case}.labels"], tokens, schedule=schedule)
        torch.testing.assert_close(logits.detach(), want[f"{case}.logits"], **LOGITS)
        loss = token_losses(logits, want[f"{case}.ids"]).mean()
        torch.testing.assert_close(loss.detach().view(1), want[f"{case}.loss"], **LOGITS)
        loss.backward()
        gradient = backbone.word_embed.weight.grad
        torch.testing.assert_close(gradient, want[f"{case}.grad_word_embed"], **LOGITS)
        some = want[f"{case}.grad_pos_slice"]
        every = golden.spec["config"]["pos_grid"] // some.shape[-1]
        gradient = backbone.pos_1LC.grad[:, : some.shape[1], ::every, ::every]
        torch.testing.assert_close(gradient, some, **LOGITS)
        backbone.requires_grad_(False)


def guidance_of(case: dict):
    if case["used_llamagen_cfg"]:
        return ScaleGuidance(scale=(float(case["cfg"]),))
    side = case["max_pn"] if isinstance(case["max_pn"], int) else 1024
    return FlexGuidance(scale=float(case["cfg"]), max_side=side)


def test_greedy_inference(golden, models):
    """All scales of every case through the engine's loop."""
    tokenizer, backbone = models
    for case in golden.spec["cases"]:
        want = {
            name.removeprefix(f"{case['name']}."): tensor
            for name, tensor in golden.tensors.items()
            if name.startswith(f"{case['name']}.")
        }
        sizes = case.get("hw_schedule") or [[side, side] for side in case["patch_nums"]]
        schedule = ScaleSchedule(tuple(map(tuple, sizes)))
        seen: dict[str, list[torch.Tensor]] = {}
        setup = tiny.setup(
            range(len(want["labels"])),
            tokenizer=tokenizer,
            backbone=backbone,
            schedule=schedule,
            conditioning=ClassConditioning(tuple(want["labels"].tolist())),
            sampling=FlexSampling(top_k=1),
            guidance=guidance_of(case),
            observe=lambda what, scale, t, seen=seen: seen.setdefault(what, []).append(t),
        )
        tiny.drain(loop.run(setup))
        torch.testing.assert_close(torch.cat(seen["logits"], 1), want["logits"], **LOGITS)
        assert torch.equal(torch.cat(seen["ids"], 1), want["ids"]), case["name"]
        image = tokenizer.decode(seen["f_hat"][-1])
        torch.testing.assert_close(image, want["image"], **IMAGE)
