"""VAREdit gives the numbers of the reference: source pass, pooled keys, positions, logits, ids."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F

from tests.varedit import CASES, Fixture, close, draw
from var_spaces.adapters.scale_aligned_reference import PreparedReference
from var_spaces.adapters.source_reference import (
    aligned_positions,
    pooled,
    source_reference,
    source_tokens,
)
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.decoding.guidance.per_scale import ScaleGuidance

pytestmark = pytest.mark.golden("varedit_p")


@pytest.fixture(scope="module")
def fixture(golden):
    return Fixture(golden)


def test_pooled_keys(fixture):
    given, size = fixture["unit.area_in"], fixture.table.last
    wanted = [name for name in fixture.golden.tensors if name.startswith("unit.area_out_")]
    assert wanted
    for name in wanted:
        to = tuple(map(int, re.findall(r"\d+", name)))
        close(pooled(given, size, to), fixture[name])
    assert torch.equal(pooled(given, size, size), given)


def test_positions(fixture):
    """The fixture's table is one list of entries; a run takes them one after the other."""
    table = fixture["unit.rope_table"]
    for case in CASES:
        source, target = fixture.positions(case)
        whole = torch.cat([torch.stack(source), torch.stack(target)], dim=1)
        close(whole, table[:, : whole.shape[1]], atol=1e-5)
    # Where the schedule is the whole list, the intended layout is the published one.
    grid = fixture.table.last
    extent = (grid[0] * grid[1]) ** 0.5
    dim = fixture.config["embed_dim"] // fixture.config["num_heads"]
    for ours, published in zip(
        aligned_positions(fixture.table, dim, extent, "cpu"),
        fixture.positions("full"),
        strict=True,
    ):
        close(torch.stack(ours), torch.stack(published), atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_tokens(fixture, case):
    tokenizer, schedule = fixture.tokenizer, fixture.schedule(case)
    source = fixture[f"in.{case}.src_image"]
    close(tokenizer.latent(source), fixture[f"mid.{case}.src_raw"])
    close(source_tokens(tokenizer, source, schedule), fixture[f"mid.{case}.src_tokens"])
    bits, latents = tokenizer.encode_latents(fixture[f"in.{case}.tgt_image"], schedule)
    assert torch.equal(torch.cat(bits, 1), fixture[f"mid.{case}.gt_bits"].long())
    close(tokenizer.inputs(latents, schedule), fixture[f"mid.{case}.tgt_tokens"])


def taught(fixture, case, aligned=True):
    """Teacher-forced logits, and the outputs of block 0 for source and target."""
    model, schedule = fixture.model, fixture.schedule(case)

    def extend(context):
        tokens = fixture[f"mid.{case}.src_tokens"]
        return source_reference(model, context, tokens, fixture.positions(case), aligned)

    seen = []
    model.layers[0].register_forward_hook(lambda _m, _i, out: seen.append(out))
    logits = model(fixture.text, fixture[f"mid.{case}.tgt_tokens"], schedule, extend=extend)
    return logits, torch.cat(seen, 1)


@pytest.mark.parametrize("case", CASES)
def test_taught(fixture, case):
    logits, block0 = taught(fixture, case)
    close(block0, fixture[f"out.{case}.hidden_after_block0"])
    close(logits.flatten(2), fixture[f"out.{case}.tf_logits"])
    bits, schedule = fixture[f"mid.{case}.gt_bits"].long(), fixture.schedule(case)
    losses = F.cross_entropy(logits.flatten(0, 2), bits.flatten(), reduction="none")
    losses = losses.view(bits.shape).mean(-1)
    close(losses.mean(), fixture[f"out.{case}.loss_uniform"][0])
    weights = torch.cat([torch.full((n,), n**-0.5) for n in schedule.lengths])
    reweighted = (losses * weights / weights.sum()).sum(1).mean()
    close(reweighted, fixture[f"out.{case}.loss_reweighted"][0])


@pytest.mark.parametrize("case", CASES)
def test_finest_only(fixture, case):
    logits, _ = taught(fixture, case, aligned=False)
    close(logits.flatten(2), fixture[f"out.{case}.finest_only_tf_logits"])


def drawn(fixture, case, count=1, aligned=True, guided=True):
    """Logits after temperature and guidance, ids and f_hat of every scale; images."""
    config, schedule = fixture.config, fixture.schedule(case)
    tokens = fixture[f"mid.{case}.src_tokens"][:count]
    model = fixture.model
    return draw(
        fixture.tokenizer,
        model,
        schedule,
        TextFeatures.of(fixture.text.prompts()[:count]),
        PreparedReference(model, tokens, fixture.positions(case), aligned),
        guidance=ScaleGuidance(scale=(config["cfg"] if guided else 1.0,)),
        temperature=config["tau"] if guided else 1.0,
    )


@pytest.mark.parametrize("case", CASES)
def test_drawn(fixture, case):
    seen, images = drawn(fixture, case)
    last = fixture.schedule(case).num_scales - 1
    for k in range(last + 1):
        close(seen["filtered"][k].flatten(2), fixture[f"out.{case}.ar_logits_s{k}"])
        assert torch.equal(seen["ids"][k], bits_of(fixture, f"out.{case}.ar_bits_s{k}"))
    close(seen["f_hat"][last], fixture[f"out.{case}.ar_codes"])
    close(fixture.tokenizer.decode(seen["f_hat"][last]), fixture[f"out.{case}.ar_image"])
    published = fixture[f"out.{case}.ar_image_u8_bgr"].flip(-1).int()
    assert (torch.from_numpy(images[0]).int() - published[0]).abs().max() <= 1


@pytest.mark.parametrize("case", CASES)
def test_drawn_finest_only(fixture, case):
    seen, _ = drawn(fixture, case, aligned=False)
    for k in range(fixture.schedule(case).num_scales):
        name = f"out.{case}.finest_only_ar_bits_s{k}"
        assert torch.equal(seen["ids"][k], bits_of(fixture, name))


def bits_of(fixture, name):
    bits = fixture[name].flatten(0, 1).permute(0, 3, 1, 2).bool()
    return fixture.tokenizer.to_tokens(bits)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_cached_equals_taught(fixture, case, aligned):
    """And several pictures with several instructions share a batch, which the reference cannot."""
    seen, _ = drawn(fixture, case, count=2, aligned=aligned, guided=False)
    schedule, model = fixture.schedule(case), fixture.model
    ids = [seen["ids"][k] for k in range(schedule.num_scales)]
    inputs = fixture.tokenizer.teacher_forcing(ids, schedule)

    def extend(context):
        tokens = fixture[f"mid.{case}.src_tokens"]
        return source_reference(model, context, tokens, fixture.positions(case), aligned)

    logits = model(fixture.text, inputs, schedule, extend=extend)
    for k in range(schedule.num_scales):
        close(seen["filtered"][k], logits[:, schedule.span(k)], atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_batches_are_guided(fixture, case):
    """The first image of a guided batch of two is the reference's."""
    seen, images = drawn(fixture, case, count=2)
    for k in range(fixture.schedule(case).num_scales):
        close(seen["filtered"][k][:1].flatten(2), fixture[f"out.{case}.ar_logits_s{k}"])
    assert len(images) == 2


def test_what_a_cache_holds_is_not_held_twice(fixture):
    model = fixture.model
    context = model.context(model.condition(fixture.text), fixture.schedule("full"))
    tokens, positions = fixture["mid.full.src_tokens"], fixture.positions("full")
    for aligned in (True, False):
        reference = source_reference(model, context, tokens, positions, aligned)
        assert len(reference.keys_values) == len(model.layers)
        assert len(reference.settled().keys_values) == aligned
