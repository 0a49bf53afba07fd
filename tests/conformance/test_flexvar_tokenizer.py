"""FlexVAR's scalable VQ tokenizer against the reference implementation: ``flexvar_tokenizer*``."""

from __future__ import annotations

import re

import pytest
import torch

from tests.flex import named_schedule, tokenizer_of
from var_spaces.schedule import ScaleSchedule

pytestmark = pytest.mark.golden("flexvar_tokenizer")
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def model(golden):
    return tokenizer_of(golden.spec["config"], golden.state("vae/"))


def numbered(golden, prefix: str) -> list[str]:
    """``["encode0", "encode1", ...]``: the cases of one kind that the fixture has."""
    found = {name.split(".")[0] for name in golden.tensors if re.match(rf"{prefix}\d+\.", name)}
    assert found
    return sorted(found)


@torch.no_grad()
def test_encode_and_decode(golden, model):
    want = golden.tensors
    for case in numbered(golden, "encode"):
        f = model.latent(want[f"{case}.image"])
        torch.testing.assert_close(f, want[f"{case}.latent"], **CLOSE)
        size = tuple(f.shape[-2:])
        ids, maps = model.encode_latents(want[f"{case}.image"], ScaleSchedule((size,)))
        assert torch.equal(ids[0].view(-1, *size), want[f"{case}.ids"])
        torch.testing.assert_close(maps[0], want[f"{case}.quant"], **CLOSE)
        torch.testing.assert_close(model.decode(maps[0]), want[f"{case}.recon"], **CLOSE)
        recon = model.reconstruct(want[f"{case}.image"])
        torch.testing.assert_close(recon, want[f"{case}.recon"], **CLOSE)


@torch.no_grad()
def test_decoding_of_given_ids(golden, model):
    want = golden.tensors
    for case in numbered(golden, "decode"):
        ids = want[f"{case}.ids"]
        schedule = ScaleSchedule((tuple(ids.shape[-2:]),))
        before = model.new_latent(len(ids), schedule, ids.device)
        f_hat = model.accumulate(before, model.embed(ids.flatten(1)), 0, schedule)
        torch.testing.assert_close(model.decode(f_hat), want[f"{case}.image"], **CLOSE)


@torch.no_grad()
def test_teacher_forcing(golden, model):
    """Schedules larger than the latent too; the fixture names schedule and picture in words."""
    want, about = golden.tensors, golden.spec["tensors"]
    for case in numbered(golden, "tf"):
        said = about[f"{case}.gt_ids"]["meaning"]
        sides, image = re.search(r"schedule (\[[\d, \[\]()]+\]) on (\w+)\.image", said).groups()
        schedule = named_schedule(sides)
        ids = model.encode(want[f"{image}.image"], schedule)
        assert torch.equal(torch.cat(ids, 1), want[f"{case}.gt_ids"])
        torch.testing.assert_close(
            model.teacher_forcing(ids, schedule), want[f"{case}.x_in"], **CLOSE
        )


@torch.no_grad()
def test_losses(golden, model):
    want = golden.tensors
    image = re.search(r"(\w+)\.latent", golden.spec["tensors"]["vqloss.vq"]["meaning"])[1]
    f = want[f"{image}.latent"]
    _, maps = model.quantize_latents(f, ScaleSchedule((tuple(f.shape[-2:]),)))
    for name, loss in zip(("vq", "commit"), model.quantize.losses(f, maps[0]), strict=True):
        torch.testing.assert_close(loss.view(1), want[f"vqloss.{name}"], **CLOSE)
