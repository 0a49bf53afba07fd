"""HMAR against the reference: teacher forcing, losses, gradients, and generation pass by pass."""

from __future__ import annotations

import pytest
import torch

from tests import tiny
from var_spaces.backbones.hmar import HMAR
from var_spaces.backbones.hmar_config import HMARConfig, merge, next_scale_state
from var_spaces.cache.none import NoCache
from var_spaces.decoding.base import Sampled, Sampling
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.sampling.top_k_top_p import filter_top_k_top_p
from var_spaces.decoding.strategies.masked import MaskedDecoding
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.training.losses.tokens import position_weights, token_losses, var_loss

pytestmark = pytest.mark.golden("hmar")
CLOSE = {"atol": 1e-3, "rtol": 1e-3}
TIGHT = {"atol": 1e-5, "rtol": 1e-3}


def transformer(golden) -> HMAR:
    config = golden.spec["config"]
    state = {key: tensor.float() for key, tensor in golden.state("hmar/").items()}
    found = HMARConfig.from_state_dict(state, patch_nums=config["patch_nums"])
    assert (found.depth, found.branch) == (config["depth"], config["n_layers_train"])
    hidden = round(config["embed_dim"] * config["mlp_ratio"])
    assert (found.heads, round(found.width * found.mlp_ratio)) == (config["num_heads"], hidden)
    return tiny.strict_load(HMAR(found), state).requires_grad_(True)


def tokenizer(golden) -> ResidualVQ:
    """The decoder side; the encoder keeps its fresh weights."""
    config, vae = golden.spec["config"], golden.spec["config"]["vae"]
    sizes = {key: vae[key] for key in ("ch", "ch_mult", "num_res_blocks", "z_channels")}
    vq = ResidualVQ(
        ResidualVQConfig(
            **sizes,
            vocab_size=config["vocab_size"],
            patch_nums=config["patch_nums"],
            share_quant_resi=vae["share_quant_resi"],
            quant_resi=vae["quant_resi"],
            using_znorm=vae["using_znorm"],
        )
    )
    state = {key: tensor.float() for key, tensor in golden.state("vae/").items()}
    left = vq.load_state_dict(state, strict=False)
    assert not left.unexpected_keys
    assert all(key.startswith(("encoder.", "quant_conv.")) for key in left.missing_keys)
    return vq.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def models(golden):
    return tokenizer(golden), transformer(golden)


@pytest.fixture
def forced(golden, models):
    """Labels, ids, inputs of a teacher-forced pass."""
    vq, hmar = models
    hmar.zero_grad()
    labels, ids = golden.tensors["tf.labels"], golden.tensors["tf.ids"]
    return labels, ids, vq.teacher_forcing(ids.split(hmar.schedule.lengths, 1))


def test_next_scale_path(golden, models, forced):
    hmar, want = models[1], golden.tensors
    labels, ids, tokens = forced
    torch.testing.assert_close(tokens, want["tf_ns.x_in"], **CLOSE)
    logits = hmar(labels, tokens)
    torch.testing.assert_close(logits, want["tf_ns.logits"], **CLOSE)
    for kind in ("uniform", "equal", "lognorm"):
        weights = position_weights(kind, hmar.schedule)
        loss = var_loss(logits, ids, weights=weights)
        torch.testing.assert_close(loss.float().view(1), want[f"tf_ns.loss_{kind}"], **TIGHT)
    loss.backward()
    for name in ("word_embed", "lvl_embed"):
        gradient = getattr(hmar, name).weight.grad
        torch.testing.assert_close(gradient, want[f"tf_ns.grad_{name}"], **TIGHT)


def test_loss_weights(golden, models):
    found = position_weights("lognorm", models[1].schedule)
    torch.testing.assert_close(found, golden.tensors["lossw.lognorm"], atol=1e-12, rtol=1e-10)
    for case in golden.spec["lognorm_reference"].values():
        schedule = type(models[1].schedule).square(case["patch_nums"])
        parts = position_weights("lognorm", schedule).split(schedule.lengths)
        assert [part.sum().item() for part in parts] == pytest.approx(case["per_scale_total"])


def test_masked_path(golden, models, forced):
    vq, hmar = models
    labels, ids, tokens = forced
    want, first = golden.tensors, hmar.schedule.lengths[0]
    masked = torch.zeros(hmar.schedule.total - first, dtype=torch.bool)
    masked[want["tf_mask.idx_to_mask"]] = True
    own = vq.own_inputs(ids.split(hmar.schedule.lengths, 1))
    torch.testing.assert_close(own, want["tf_mask.x_mask"], **CLOSE)
    logits = hmar(labels, tokens, own=own, masked=masked[None])
    torch.testing.assert_close(logits, want["tf_mask.logits"], **CLOSE)
    loss = token_losses(logits[:, first:][:, masked], ids[:, first:][:, masked]).mean()
    torch.testing.assert_close(loss.view(1), want["tf_mask.loss"], **TIGHT)
    loss.backward()
    torch.testing.assert_close(
        hmar.mask_embed.weight.grad, want["tf_mask.grad_mask_embed"], **TIGHT
    )


class Recorded(Sampling):
    """Arg-max, or the inverse of the cumulative distribution at recorded uniforms."""

    name, title = "recorded", "For tests"

    top_k: int = 0
    top_p: float = 0.0
    uniforms: tuple = ()  # per pass (B, l)

    def sample(self, logits, gumbel, scale, schedule):
        if not self.uniforms:
            return Sampled(logits.argmax(-1), logits)
        logits = filter_top_k_top_p(logits, self.top_k, self.top_p)
        total = logits.double().softmax(-1).cumsum(-1)
        total = total / total[..., -1:]
        draws = next(self.uniforms[0]).double()
        return Sampled((total > draws[..., None]).int().argmax(-1), logits)


def positions(orders, splits):
    """Rankings as positions of the scale: those after the first pass count along its masked set."""
    found, at = [], 0
    for counts in splits:
        before = None
        for step in range(1, len(counts)):
            tokens = sum(counts) if before is None else before.shape[1]
            order = orders[:, at : at + tokens]
            order = order if before is None else before.gather(1, order)
            before = order[:, : sum(counts[step:])]
            found, at = [*found, order], at + tokens
        if len(counts) == 1 and sum(counts) > 1:  # recorded, and of no consequence
            at += sum(counts)
    assert at == orders.shape[1]
    return torch.cat(found, 1)


def test_generation(golden, models):
    vq, hmar = models
    want = golden.tensors
    for case in golden.spec["cases"]:
        name, schedule = case["name"], hmar.schedule
        lengths = [schedule.lengths[scale] for scale, _ in case["passes"]]
        splits = ["+".join(map(str, counts)) for counts in case["mask_schedule"] or ()]
        decoding = MaskedDecoding(splits=splits) if case["mask"] else MaskedDecoding(steps=(1,))
        decoding.check_schedule(schedule)
        sampling = Recorded(top_k=case["top_k"], top_p=case["top_p"])
        if case["mode"] == "uniform":
            draws = iter(want[f"{name}.uniforms"].split(lengths, 1))
            sampling = sampling.model_copy(update={"uniforms": (draws,)})
        seen = {}
        setup = tiny.setup(
            range(case["B"]),
            tokenizer=vq,
            backbone=hmar,
            schedule=schedule,
            conditioning=ClassConditioning(tuple(want[f"{name}.labels"].tolist())),
            sampling=sampling,
            guidance=LinearGuidance(scale=case["cfg"]),
            cache=NoCache(),
            decoding=decoding,
            observe=lambda what, scale, t, seen=seen: seen.setdefault(what, []).append(t),
        )
        tiny.drain(loop.run(setup))
        assert [ids.shape[1] for ids in seen["drawn_ids"]] == lengths
        torch.testing.assert_close(torch.cat(seen["logits"], 1), want[f"{name}.logits"], **CLOSE)
        assert torch.equal(torch.cat(seen["drawn_ids"], 1), want[f"{name}.ids"])
        if case["mask"]:
            orders = positions(want[f"{name}.orders"], case["mask_schedule"])
            assert torch.equal(torch.cat(seen["ranking"], 1), orders)
        image = (vq.decode(seen["f_hat"][-1]) + 1) / 2
        torch.testing.assert_close(image, want[f"{name}.image"], atol=1e-3, rtol=0)


def test_files_are_merged_from_two_trainings_and_back(golden, models):
    state, branch = models[1].state_dict(), models[1].config.branch
    next_scale = next_scale_state(state)
    of_masks = {key: tensor for key, tensor in state.items() if key.startswith("mask_")}
    masked = next_scale_state(
        {
            **state,
            **{key.replace("mask_", "ns_", 1): tensor for key, tensor in of_masks.items()},
        }
    )
    masked["mask_embed.weight"] = state["mask_embed.weight"]
    masked.pop("ns_embed.weight")
    merged = merge(next_scale, masked, branch)
    assert merged.keys() == state.keys()
    assert all(torch.equal(merged[key], tensor) for key, tensor in state.items())
