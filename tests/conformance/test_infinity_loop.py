"""Infinity drawn by the scale loop gives the numbers of the reference: bits, guidance, images."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch

from tests.infinity import close, flat, model_of, schedule_of, tokenizer_of
from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.cache.full import Full
from var_spaces.decoding.backbone import blocks
from var_spaces.decoding.guidance.layers import LayerGuidance
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.sampling.top_k_top_p import filter_top_k_top_p
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.events import ImageReady
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig


@dataclass
class Given:
    """Text features of a fixture as the condition of a run."""

    text: TextFeatures
    negative: TextFeatures | None = None

    def embed(self, backbone, rows, adapter=None):
        asked = blocks(rows)
        assert asked["full"] == list(range(len(self.text)))
        without = self.negative or backbone.empty_text(self.text.lengths)
        both = "null" in asked
        return backbone.condition(concatenate([self.text, without]) if both else self.text)


class Silent:
    """No noise: the likelier bit is drawn."""

    def gumbel(self, rows, scale, part, tokens, vocab):
        return torch.zeros(len(rows), tokens, vocab)


@dataclass
class Forced:
    """Recorded bits in place of drawn ones at some scales."""

    tokenizer: Bitwise
    bits: list[torch.Tensor]

    def __call__(self, scale, ids, codes, images):
        if scale >= len(self.bits):
            return ids, codes
        return self.bits[scale], self.tokenizer.embed(self.bits[scale])


def draw(tokenizer, backbone, schedule, conditioning, guidance, tau, forced=(), cache=None):
    """Logits after temperature and guidance, bits, and f_hat per scale; images."""
    seen: dict[str, dict[int, torch.Tensor]] = {"filtered": {}, "ids": {}, "f_hat": {}}

    def observe(what, scale, tensor):
        seen.get(what, {})[scale] = tensor

    setup = RunSetup(
        tokenizer=tokenizer,
        backbone=backbone,
        schedule=schedule,
        conditioning=conditioning,
        images=tuple(range(len(conditioning.text))),
        noise=Silent(),
        sampling=BitSampling(temperature=tuple(tau), top_p=0),
        guidance=guidance,
        cache=cache or Full(),
        decoding=PlainDecoding(),
        substitution=Forced(tokenizer, list(forced)),
        observe=observe,
    )
    images = [event.image for event in run(setup) if isinstance(event, ImageReady)]
    return seen, images


def models(golden, name):
    def file(stem):
        return golden.stem.replace(name, stem) + ".safetensors"

    backbone = model_of(golden.spec, golden.state("", file=file("tiny_weights")))
    spec = (golden.folder / (golden.stem.replace(name, "bsq_tokenizer") + ".json")).read_text()
    state = golden.state("w.", file=file("bsq_tokenizer"))
    return tokenizer_of(json.loads(spec), state), backbone


@pytest.mark.golden("infinity_cfg_infer")
def test_guided(golden):
    spec, tensors = golden.spec, golden.tensors
    tokenizer, backbone = models(golden, "cfg_infer")
    schedule = schedule_of(spec["scale_schedule"])
    bits = [flat(tensors[f"bits_{k}"]) for k in range(schedule.num_scales)]
    text = Given(TextFeatures(tensors["text_features"], spec["text_lens"]))
    guidance = ScaleGuidance(scale=spec["cfg_list"])
    forced = bits[: len(spec["forced_scales"])]
    seen, images = draw(tokenizer, backbone, schedule, text, guidance, spec["tau_list"], forced)
    for k in range(schedule.num_scales):
        close(seen["filtered"][k], tensors[f"logits_{k}"], spec)
        assert torch.equal(seen["ids"][k], bits[k])
    f_hat = seen["f_hat"][schedule.num_scales - 1]
    close(f_hat, tensors["summed_codes"], spec)
    close(tokenizer.decode(f_hat), tensors["image"], spec)
    published = tensors["image_u8_bgr"].flip(-1).int()
    ours = torch.stack([torch.from_numpy(image) for image in images]).int()
    assert (ours - published).abs().max() <= 1


@pytest.mark.golden("infinity_cfg_variants")
def test_variants(golden):
    spec, tensors = golden.spec, golden.tensors
    tokenizer, backbone = models(golden, "cfg_variants")
    schedule = schedule_of(spec["scale_schedule"])
    source = golden.sibling(golden.stem.replace("variants", "infer") + ".safetensors")
    bits = [flat(source[f"bits_{k}"]) for k in range(schedule.num_scales)]
    text = TextFeatures(source["text_features"], source["cu_seqlens"].diff().tolist())
    for name, variant in spec["variants"].items():
        negative = None
        if variant["negative_text_lens"]:
            negative = TextFeatures(tensors["neg_text_features"], variant["negative_text_lens"])
        guidance = LayerGuidance(
            scale=variant["cfg_list"], layers=tuple(variant["cfg_insertion_layer"])
        )
        seen, _ = draw(
            tokenizer,
            backbone,
            schedule,
            Given(text, negative),
            guidance,
            variant["tau_list"],
            bits,
        )
        wanted = [key for key in tensors if key.startswith(f"{name}.logits_")]
        assert wanted
        for key in wanted:
            close(seen["filtered"][int(key.rpartition("_")[2])], tensors[key], spec)


@pytest.mark.golden("infinity_patchify")
def test_patchified(golden):
    spec, tensors = golden.spec, golden.tensors
    backbone = model_of(spec, golden.state("w."))
    schedule = schedule_of(spec["scale_schedule"])
    bits = spec["config"]["vae_codebook_dim"]
    torch.manual_seed(0)
    tokenizer = Bitwise(BitwiseConfig(ch=32, ch_mult=(1,), bits=bits, patchify=True)).eval()
    text = Given(TextFeatures(tensors["infer_text_features"], spec["text_lens"]))
    guidance = ScaleGuidance(scale=spec["cfg_list"])
    seen, _ = draw(tokenizer, backbone, schedule, text, guidance, spec["tau_list"])
    for k in range(schedule.num_scales):
        expected = tokenizer.to_tokens(tensors[f"infer_bits_{k}"].permute(0, 3, 1, 2).bool())
        assert torch.equal(seen["ids"][k], expected)
        if f"infer_logits_{k}" in tensors:
            close(seen["filtered"][k], tensors[f"infer_logits_{k}"], spec)
    close(seen["f_hat"][schedule.num_scales - 1], tensors["infer_summed_codes"], spec)


@pytest.mark.golden("infinity_bit_sampler")
def test_bit_filter(golden):
    logits = golden.tensors["logits"]
    for name, expected in golden.tensors.items():
        if name.startswith("prob_"):
            top_k, top_p = int(name.split("_k")[1].split("_")[0]), float(name.split("_p")[1])
            filtered = filter_top_k_top_p(logits, min(top_k, 2), top_p)
            close(filtered.softmax(-1), expected, golden.spec)
            sampling = BitSampling(top_k=top_k, top_p=top_p)
            rows = logits.view(1, 1, -1, 2)
            drawn = sampling.sample(rows, lambda *size: torch.zeros(1, *size), 0, None)
            close(drawn.logits.softmax(-1).view_as(expected), expected, golden.spec)
            assert torch.equal(drawn.ids.flatten(), expected.argmax(-1))
