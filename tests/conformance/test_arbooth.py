"""Fine-tuning to a subject gives the numbers of ARBooth's public code (arXiv 2504.02612)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
import torch

from var_spaces.adapters.base import Given, Loaded
from var_spaces.adapters.subject import Subject
from var_spaces.adapters.subject_layers import SubjectLayers
from var_spaces.adapters.subject_network import SubjectNetwork
from var_spaces.adapters.subject_run import with_learned
from var_spaces.aspect import published
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.full import Full
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.training.losses.subject import (
    coarse_weights,
    hard_prior_loss,
    instance_loss,
    prior_loss,
)
from var_spaces.training.subjects.teacher import Sampled, draw
from var_spaces.zoo.checkpoints import fit

LOGITS = {"atol": 2e-4, "rtol": 1e-4}
LOSS = {"atol": 1e-5, "rtol": 1e-5}


def schedule_of(sizes) -> ScaleSchedule:
    return ScaleSchedule(tuple(map(tuple, sizes)))


def pairs(logits: torch.Tensor) -> torch.Tensor:
    """``(B, L, 2 n)`` of a fixture as ``(B, L, n, 2)``."""
    return logits.unflatten(-1, (-1, 2))


@pytest.mark.golden("arbooth")
def test_losses(golden):
    given = {key: golden.tensors[f"loss.in.{key}"] for key in ("logits", "teacher_logits")}
    logits, teacher = (pairs(value) for value in given.values())
    student = pairs(golden.tensors["loss.in.student_reg_logits"])
    bits = golden.tensors["loss.in.bits"].long()
    wanted = {
        key.removeprefix("loss.out."): value
        for key, value in golden.tensors.items()
        if key.startswith("loss.out.")
    }
    weights = coarse_weights(schedule_of(golden.spec["config"]["loss_schedule"]))
    assert torch.equal(weights, wanted.pop("token_weights"))
    instance = instance_loss(logits, bits, weights)
    soft = 0.5 * prior_loss(teacher, student)
    found = {
        "instance_weighted": instance,
        "instance_unweighted": instance_loss(logits, bits),
        "prior_soft_T1": soft,
        "prior_soft_T2_lambda1": prior_loss(teacher, student, temperature=2),
        "prior_hard": 0.5 * hard_prior_loss(teacher, student),
        "sum_default": instance + soft,
    }
    assert set(found) == set(wanted)
    for key, value in found.items():
        torch.testing.assert_close(value, wanted[key].squeeze(), **LOSS, msg=lambda m, k=key: k + m)


@pytest.mark.golden("arbooth")
def test_weights_of_published_schedules(golden):
    for name, expected in golden.spec["scale_weights_for_published_schedules"].items():
        preset, ratio = name.split(" h/w=")
        schedule = published(preset, float(ratio))
        weights = coarse_weights(schedule)
        assert list(schedule.lengths) == expected["per_scale_tokens"]
        firsts = [weights[schedule.span(k)] for k in range(schedule.num_scales)]
        assert [part.unique().item() for part in firsts] == expected["per_scale_weight"]
        assert len(weights) == expected["total_tokens"]
        for weight in (1.0, 0.5):
            assert (weights == weight).sum() == expected[f"tokens_weight_{weight}"]


def test_divergence_per_bit_is_that_of_bits():
    """The proper one is the sum over bits of what two coins differ; the joint one is another."""
    teacher, student = torch.randn(2, 2, 3, 5, 2).unbind(0)
    p, q = (torch.distributions.Bernoulli(logits=x[..., 1] - x[..., 0]) for x in (teacher, student))
    expected = torch.distributions.kl_divergence(p, q).mean()
    torch.testing.assert_close(prior_loss(teacher, student, joint=False), expected)
    assert not torch.isclose(prior_loss(teacher, student), expected)
    assert prior_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-7)


# --- the model ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(golden) -> Infinity:
    """The base: everything of the fixture's model but what is learned about the subject."""
    config = golden.spec["config"]
    height, width = config["schedule"][-1]
    backbone = Infinity(
        InfinityConfig(
            depth=config["depth"],
            width=config["embed_dim"],
            heads=config["num_heads"],
            latent_dim=config["codebook_dim"] * (4 if config["apply_spatial_patchify"] else 1),
            patch_nums=[h for h, _ in config["schedule"]],
            text_dim=config["text_channels"],
            text_len=config["text_maxlen"],
            chunks=config["block_chunks"],
            mlp_ratio=config["mlp_ratio"],
            rope_mode=config["rope2d_normalized_by_hw"],
            rope_extent=math.sqrt(height * width),
        )
    )
    state = backbone.adapt_state(golden.state("model."))
    own = backbone.state_dict()
    backbone.load_state_dict({key: state[key].float() for key in own})
    return backbone.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def adapter(golden) -> Subject:
    rows = golden.spec["config"]["special_tokens"]
    published = {"level_every_chunk": True, "next_input": "area"}
    return Subject(word="thing", placeholder="[it]", text_rows=rows, **published)


@pytest.fixture(scope="module")
def own(golden, model, adapter) -> SubjectNetwork:
    """What is learned, read from the file of the whole model."""
    network = adapter.build(model.config)
    state = network.adapt_state(golden.state("model."))
    fitted = fit({k: v.float() for k, v in state.items()}, network, "The fixture")
    network.load_state_dict(fitted, strict=False)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokenizer(golden) -> Bitwise:
    """Encoder and decoder are not asked for."""
    return Bitwise(
        BitwiseConfig(
            ch=32,
            ch_mult=(1,),
            bits=golden.spec["config"]["codebook_dim"],
            patchify=bool(golden.spec["config"]["apply_spatial_patchify"]),
        )
    )


@pytest.fixture(scope="module")
def prepared(model, tokenizer, own, adapter):
    return adapter.prepare(Loaded(model, tokenizer, own), Given(model.schedule))


def text_of(golden, rows: str, lengths: str) -> TextFeatures:
    ends = golden.tensors[lengths].tolist()
    return TextFeatures(golden.tensors[rows], [b - a for a, b in itertools.pairwise(ends)])


@pytest.mark.golden("arbooth")
def test_names_of_what_is_trained(golden):
    known = [key for key in golden.spec["model_keys"] if not key.endswith("zero_k_bias")]
    settings = {
        "default (ca+ffn)": SubjectLayers(),
        "sa only": SubjectLayers(ca=False, ffn=False, sa=True),
        "all": SubjectLayers(sa=True),
    }
    for name, expected in golden.spec["trainable_parameter_names"].items():
        held = filter(settings[name].holds, known)
        assert sorted([*held, "special_token"]) == sorted(expected)


@pytest.mark.golden("arbooth")
def test_subject_word(golden, own):
    given = {key: golden.tensors[f"text.in.{key}"] for key in ("ids", "mask", "feats")}
    found = []
    for ids, mask, states in zip(*given.values(), strict=True):
        keep = mask.bool()
        where = (ids[keep] == golden.spec["config"]["placeholder_id"]).nonzero().flatten().tolist()
        found.append(with_learned(states[keep], where, own.special_token))
    text = TextFeatures.of(found)
    assert torch.equal(text.packed, golden.tensors["text.out.rows"])
    assert torch.equal(text.packed, text_of(golden, "text.out.rows", "text.out.cu_seqlens").packed)
    ends = itertools.accumulate(text.lengths, initial=0)
    assert list(ends) == golden.tensors["text.out.cu_seqlens"].tolist()


@pytest.mark.golden("arbooth")
def test_pictures_of_the_subject(golden, model, tokenizer, prepared):
    schedule = schedule_of(golden.spec["config"]["schedule"])
    bits, latents = tokenizer.quantize(golden.tensors["inst.in.raw_features"], schedule)
    tokens = tokenizer.inputs(latents, schedule)
    assert torch.equal(torch.cat(bits, 1), golden.tensors["inst.mid.bits"].long())
    torch.testing.assert_close(tokens, golden.tensors["inst.mid.tokens"], atol=1e-6, rtol=1e-5)
    text = text_of(golden, "text.out.rows", "text.out.cu_seqlens")
    found = prepared.overlaid(model)(text, tokens, schedule, extend=extend(prepared))
    torch.testing.assert_close(found.flatten(2), golden.tensors["inst.out.logits"], **LOGITS)


def extend(prepared):
    return lambda context: prepared.extension(context, [])


@pytest.mark.golden("arbooth")
def test_teacher_as_published_and_its_student(golden, model, tokenizer, prepared):
    schedule = schedule_of(golden.spec["config"]["schedule"])
    text = text_of(golden, "prior.in.rows", "prior.in.cu_seqlens")
    shell, area = prepared.overlaid(model), prepared.retokenized(tokenizer)
    likeliest = Sampled(1.0, 0)
    options = {"extend": extend(prepared), "schedule": schedule}
    drawn = draw(shell, area, text, likeliest, cached=False, **options)
    wanted = {k.removeprefix("prior.out."): v for k, v in golden.tensors.items() if "prior" in k}
    assert torch.equal(drawn.bits, wanted["teacher_bits"].long())
    torch.testing.assert_close(drawn.logits.flatten(2), wanted["teacher_logits"], **LOGITS)
    embedded = shell.word_embed(drawn.tokens)
    torch.testing.assert_close(embedded, wanted["inputs"][:, 1:], **LOGITS)
    student = shell(text, drawn.tokens, schedule, extend=extend(prepared))
    torch.testing.assert_close(student.flatten(2), wanted["student_logits"], **LOGITS)
    assert (student - drawn.logits).abs().max() > 0.1  # the published teacher is another model

    cached = draw(shell, area, text, likeliest, **options)  # as the paper describes it
    again = shell(text, cached.tokens, schedule, extend=extend(prepared))
    torch.testing.assert_close(again, cached.logits, **LOGITS)
    assert prior_loss(cached.logits, again).item() == pytest.approx(0, abs=1e-6)


class Silent:
    """No noise: the likelier bit is drawn."""

    def gumbel(self, rows, scale, part, tokens, vocab):
        return torch.zeros(len(rows), tokens, vocab)


@dataclass
class OnePrompt:
    """Features of a prompt with the learned rows, and the empty text that is as long."""

    rows: torch.Tensor

    def embed(self, backbone, rows, adapter=None):
        assert [row.name for row in rows] == ["full", "null"]
        return backbone.condition(
            TextFeatures.of([self.rows, backbone.empty_text([len(self.rows)]).packed])
        )


@pytest.mark.golden("arbooth")
def test_drawing_with_guidance(golden, model, tokenizer, prepared):
    config = golden.spec["config"]
    schedule = schedule_of(config["schedule"])
    first = text_of(golden, "text.out.rows", "text.out.cu_seqlens").prompts()[0]
    seen: dict[str, dict[int, torch.Tensor]] = {"filtered": {}, "drawn_ids": {}}
    setup = RunSetup(
        tokenizer=prepared.retokenized(tokenizer),
        backbone=model,
        schedule=schedule,
        conditioning=OnePrompt(first),
        images=(0,),
        noise=Silent(),
        sampling=BitSampling(temperature=(config["tau"],), top_p=0),
        guidance=ScaleGuidance(scale=(config["cfg"],)),
        cache=Full(),
        decoding=PlainDecoding(),
        observe=lambda what, scale, tensor: seen.get(what, {}).__setitem__(scale, tensor),
        adapter=prepared,
    )
    list(run(setup))
    for scale in range(schedule.num_scales):
        wanted = golden.tensors[f"infer.out.bits_s{scale}"]
        assert torch.equal(seen["drawn_ids"][scale], wanted.flatten(0, 1).flatten(1, 2).long())
        logits = seen["filtered"][scale].flatten(2)
        torch.testing.assert_close(logits, golden.tensors[f"infer.out.logits_s{scale}"], **LOGITS)
