"""The transformer fixtures run through the scale loop: greedy sampling and soft embeddings."""

import pytest
import torch

from tests import tiny
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP


class RecordedNoise:
    """Exponential draws of a fixture, ``(B, L, V)``, as Gumbel noise."""

    def __init__(self, exponential, schedule):
        self.gumbels, self.schedule = -exponential.log(), schedule

    def gumbel(self, rows, scale, part, tokens, vocab):
        return self.gumbels[[row.image for row in rows], self.schedule.span(scale)]


@pytest.fixture(scope="module")
def models(golden):
    weights = golden.spec["vae_weights"]["file"].removesuffix(".safetensors")
    return tiny.tokenizer(golden.folder, weights), tiny.backbone(golden.folder, golden.stem)


def run(models, labels, guidance, sampling, noise=None):
    """Everything the observer saw, scales joined along the sequence; final latent and image."""
    vq, var = models
    seen = {}
    setup = tiny.setup(
        range(len(labels)),
        tokenizer=vq,
        backbone=var,
        schedule=var.schedule,
        conditioning=ClassConditioning(tuple(labels.tolist())),
        noise=noise or SeededNoise(0),
        sampling=sampling,
        guidance=LinearGuidance(scale=float(guidance)),
        observe=lambda what, scale, tensor: seen.setdefault(what, []).append(tensor),
    )
    events, _ = tiny.drain(loop.run(setup))
    assert len(events) == var.schedule.num_scales + len(labels)
    joined = {k: torch.cat(v, 1) for k, v in seen.items() if k not in ("f_hat", "kept", "pinned")}
    return joined, seen["f_hat"][-1], (vq.decode(seen["f_hat"][-1]) + 1) / 2


@pytest.mark.golden("var_model_")
def test_greedy(golden, models):
    want, case, tolerance = golden.tensors, golden.spec["ar"], golden.spec["tolerance"]
    sampling = TopKTopP(top_k=case["top_k"], top_p=case["top_p"])
    seen, f_hat, image = run(models, want["in/ar_label"], case["cfg"], sampling)
    close = {"atol": tolerance["logits_atol"], "rtol": tolerance["logits_rtol"]}
    torch.testing.assert_close(seen["raw_logits"], want["out/ar_raw_logits"], **close)
    torch.testing.assert_close(seen["logits"], want["out/ar_cfg_logits"], **close)
    assert torch.equal(seen["ids"], want["out/ar_ids"])
    torch.testing.assert_close(f_hat, want["out/ar_fhat_last"], **close)
    image_close = {"atol": tolerance["image_atol"], "rtol": 0}
    torch.testing.assert_close(image, want["out/ar_image"], **image_close)


@pytest.mark.golden("var_model_")
def test_smooth(golden, models):
    want, case, tolerance = golden.tensors, golden.spec["smooth"], golden.spec["tolerance"]
    sampling = TopKTopP(top_k=case["top_k"], top_p=case["top_p"], smooth=True)
    noise = RecordedNoise(want["in/smooth_exp_noise"], models[1].schedule)
    seen, _, image = run(models, want["in/smooth_label"], case["cfg"], sampling, noise)
    for got, name, limit in (
        (seen["logits"], "smooth_cfg_logits", "smooth_logits_atol"),
        (seen["codes"], "smooth_h", "smooth_h_atol"),
        (image, "smooth_image", "smooth_image_atol"),
    ):
        torch.testing.assert_close(got, want[f"out/{name}"], atol=tolerance[limit], rtol=0)
