"""VARiant: block choice, accounting, phases, and both passes of the depth routing."""

from __future__ import annotations

import pytest
import torch

from tests import tiny
from tests.tiny import sides_of
from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.strategies.supernet import Supernet
from var_spaces.depth import sub_network
from var_spaces.tokenizers.residual_vq import MultiScaleQuantizer, ResidualVQConfig
from var_spaces.training.losses.tokens import loss_per_scale, token_losses
from var_spaces.training.recipes.supernet import sub_network_share

ATOL = 1e-4  # "logits within 1e-4"


@pytest.mark.golden("variant_tables")
def test_tables(golden):
    config = golden.spec["config"]
    for name, want in golden.tensors.items():
        if name.startswith("D"):
            blocks, depth = (int(part[1:]) for part in name.split("_"))
            assert sub_network(blocks, depth) == tuple(want.tolist())
    for name, table in golden.spec["nestedness"].items():
        for pair in table["nested_pairs"]:
            small, large = (set(sub_network(int(name[1:]), pair[k])) for k in ("small", "large"))
            assert (small <= large) == pair["nested"]
    schedule = sides_of(config["pn"])
    assert list(schedule.offsets[1:]) == config["cumulative_tokens"]
    (accounting,) = (key for key in golden.spec if key.startswith("kv_accounting_D"))
    blocks = int(accounting.rpartition("D")[2])
    for name, row in golden.spec[accounting].items():
        depth, early = int(name[1:]), schedule.offsets[config["bridge_scales"]]
        kept = blocks * early + depth * (schedule.total - early)
        peak = max(blocks * early, depth * schedule.total)  # skipped blocks free theirs first
        assert (kept, peak) == (row["layer_tokens_kept"], row["layer_tokens_with_freeing_peak"])
        assert kept / (blocks * schedule.total) == pytest.approx(row["ratio_kept"], abs=1e-12)
    phases = zip(golden.tensors["epochs"].tolist(), golden.tensors["subnet_prob"], strict=True)
    for epoch, want in phases:
        got = sub_network_share(epoch, config["E1"], config["E2"])
        assert got == pytest.approx(want.item(), abs=1e-12)


class Quantizer(torch.nn.Module):
    """The fixture has a quantiser without encoder and decoder: enough for the loop's latents."""

    def __init__(self, config: ResidualVQConfig) -> None:
        super().__init__()
        self.quantize, self.latent_dim = MultiScaleQuantizer(config), config.z_channels

    new_latent = tiny.ResidualVQ.new_latent
    embed = tiny.ResidualVQ.embed
    accumulate = tiny.ResidualVQ.accumulate
    next_input = tiny.ResidualVQ.next_input
    teacher_forcing = tiny.ResidualVQ.teacher_forcing

    def decode(self, f_hat):
        return f_hat[:, :3]


@pytest.fixture(scope="module")
def models(golden):
    config = golden.spec["config"]
    backbone = VAR(
        VARConfig(
            depth=config["D"],
            width=config["width"],
            heads=config["heads"],
            vocab_size=config["V"],
            latent_dim=config["Cvae"],
            num_classes=config["classes"],
            patch_nums=tuple(config["pn"]),
            attn_l2_norm=config["attn_l2_norm"],
            mlp_ratio=config["mlp"],
            norm_eps=config["norm_eps"],
        )
    )
    tiny.strict_load(backbone, golden.state("var."))
    state = golden.state("quant.")
    sizes = {"vocab_size": config["V"], "z_channels": config["Cvae"]}
    sizes["share_quant_resi"] = sum(key.endswith("bias") for key in state)
    quantizer = Quantizer(ResidualVQConfig(patch_nums=tuple(config["pn"]), **sizes))
    tiny.strict_load(quantizer.quantize, state)
    return quantizer, backbone


def depths(golden):
    return [int(name[1:]) for name in golden.spec["per_subnet"]]


@pytest.mark.golden("variant_forward")
def test_teacher_forced(golden, models):
    quantizer, backbone = models
    config, want, schedule = golden.spec["config"], golden.tensors, backbone.schedule
    ids = want["gt_idx"].split(schedule.lengths, dim=1)
    tokens = quantizer.teacher_forcing(ids, schedule)
    for depth in depths(golden):
        case = golden.spec["per_subnet"][f"d{depth}"]
        blocks = sub_network(config["D"], depth)
        assert list(blocks) == case["active_layers"]
        logits = backbone(want["labels"], tokens, blocks=blocks, bridge=config["N"])
        torch.testing.assert_close(logits, want[f"d{depth}.teacher_logits"], atol=ATOL, rtol=0)
        losses = token_losses(logits, want["gt_idx"])
        assert losses.mean().item() == pytest.approx(case["ce_mean_over_all_tokens"], abs=ATOL)
        per_scale = torch.tensor(loss_per_scale(losses, schedule))
        torch.testing.assert_close(per_scale, want[f"d{depth}.ce_per_scale"], atol=ATOL, rtol=0)


@pytest.mark.golden("variant_forward")
def test_cached(golden, models):
    quantizer, backbone = models
    config, want, schedule = golden.spec["config"], golden.tensors, backbone.schedule
    for depth in depths(golden):
        seen = {}
        setup = tiny.setup(
            range(len(want["labels"])),
            tokenizer=quantizer,
            backbone=backbone,
            schedule=schedule,
            conditioning=ClassConditioning(tuple(want["labels"].tolist())),
            sampling=TopKTopP(top_k=1),
            guidance=LinearGuidance(scale=config["cfg_scale"]),
            decoding=Supernet(depth=depth, bridge=config["N"]),
            observe=lambda what, scale, x, seen=seen: seen.__setitem__((what, scale), x),
        )
        events, _ = tiny.drain(loop.run(setup))
        last = schedule.num_scales - 1
        for k in range(schedule.num_scales):
            logits = want[f"d{depth}.logits_scale{k}"]
            torch.testing.assert_close(seen["logits", k], logits, atol=ATOL, rtol=0)
            assert torch.equal(seen["ids", k], want[f"d{depth}.idx_scale{k}"])
        torch.testing.assert_close(seen["f_hat", last], want[f"d{depth}.f_hat"], atol=ATOL, rtol=0)
        # caches of skipped blocks are freed; active ones hold what the reference holds
        case = golden.spec["per_subnet"][f"d{depth}"]
        active = [case["kv_tokens_per_layer_after_generation"][b] for b in case["active_layers"]]
        full = config["D"] * schedule.total
        assert events[last].kv_bytes * full == events[last].kv_full_bytes * sum(active)


@pytest.mark.golden("variant_forward")
def test_both_passes_agree(golden, models):
    """Drawn without guidance, then seen again by the teacher-forced pass."""
    quantizer, backbone = models
    config, labels, schedule = golden.spec["config"], golden.tensors["labels"], backbone.schedule
    for depth in depths(golden):
        logits = []
        setup = tiny.setup(
            range(len(labels)),
            tokenizer=quantizer,
            backbone=backbone,
            schedule=schedule,
            conditioning=ClassConditioning(tuple(labels.tolist())),
            guidance=LinearGuidance(scale=0.0),
            decoding=Supernet(depth=depth, bridge=config["N"]),
            observe=lambda what, scale, x, into=logits: into.append(x) if what == "logits" else 0,
        )
        _, ids = tiny.drain(loop.run(setup))
        blocks = sub_network(config["D"], depth)
        tokens = quantizer.teacher_forcing(ids, schedule)
        forced = backbone(labels, tokens, blocks=blocks, bridge=config["N"])
        torch.testing.assert_close(torch.cat(logits, 1), forced, atol=ATOL, rtol=0)
