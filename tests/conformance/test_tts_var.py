"""TTS-VAR: potentials, guards, clusters and re-indexing give the numbers of the reference."""

from __future__ import annotations

import json

import pytest
import torch

from tests.conformance.test_infinity_loop import Forced, Given, Silent
from tests.infinity import close, flat, model_of, schedule_of, tokenizer_of
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.full import Full
from var_spaces.decoding.backbone import batch_rows, blocks
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop.backbone_run import every_block
from var_spaces.decoding.loop.pixels import decode
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.search import selection
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainSession
from var_spaces.decoding.strategy import DecodingStrategy

KINDS = ("value", "diff", "sum", "max")


@pytest.mark.golden("tts_var_functions")
def test_potentials(golden):
    tensors, config = golden.tensors, golden.spec["config"]
    now, strength = tensors["score_now"], config["lambda"]
    history = tensors["scores_history"][:, : config["current_scale_index"]]
    cases = [(kind, kind, 1) for kind in KINDS]
    tops = [name for name in tensors if name.startswith("rate_topk_")]
    cases += [(name.removeprefix("rate_"), "top", int(name.rpartition("_")[2])) for name in tops]
    for name, kind, top in cases:
        logs = selection.potential(kind, now, history, strength, top)
        torch.testing.assert_close(logs.exp(), tensors[f"rate_{name}"], rtol=1e-4, atol=0)
        chances = selection.probabilities(logs)
        torch.testing.assert_close(chances, tensors[f"prob_{name}"], rtol=1e-4, atol=1e-7)
    for kind in KINDS:
        first = selection.potential(kind, now, history[:, :0], strength).exp()
        torch.testing.assert_close(first, tensors[f"rate_first_scale_{kind}"], rtol=1e-4, atol=0)


@pytest.mark.golden("tts_var_functions")
def test_guards(golden):
    given, want = golden.tensors["sanitise_in"], golden.tensors["sanitise_out"]
    assert torch.equal(torch.stack([selection.sanitise(row) for row in given]), want)


@pytest.mark.golden("tts_var_functions")
def test_clusters(golden):
    tensors, clusters = golden.tensors, golden.spec["config"]["n_clusters"]
    for name in ("pca", "pca_all", "pool"):
        vectors = selection.cluster_vectors(name.replace("_", "-"), tensors["patch_features"])
        want = tensors[f"cluster_input_{name}"]
        for ours, theirs in zip(vectors, want, strict=True):
            sign = torch.sign(ours @ theirs) if name != "pool" else 1  # arbitrary per sample
            torch.testing.assert_close(ours * sign, theirs, atol=2e-3, rtol=1e-3)
        kept = selection.representatives(want, clusters)  # "on the recorded cluster_input_*"
        assert torch.equal(kept.sort().values.int(), tensors[f"selected_{name}"])
        labels, theirs = selection.k_means(want, clusters)[0], tensors[f"labels_{name}"]
        assert torch.equal(labels[:, None] == labels, theirs[:, None] == theirs)


@pytest.mark.golden("tts_var_functions")
def test_cache_rows(golden):
    kept = golden.tensors["branch_replace_ids"]
    rows = every_block(kept, golden.spec["config"]["branch_B"], 2)
    assert torch.equal(rows, golden.tensors["branch_cache_rows"])


@pytest.mark.golden("tts_var_branching")
def test_branching(golden):
    """Candidates re-indexed by given ids: logits after each selection, rewards and weights."""
    spec, tensors = golden.spec, golden.tensors
    schedule = schedule_of(spec["scale_schedule"])
    tokenizer, backbone = branching_models(golden)
    survivors = {int(k): torch.tensor(v) for k, v in spec["survivors_after_scale"].items()}
    bits = [flat(tensors[f"bits_{k}"]) for k in range(schedule.num_scales)]
    last, rewards = schedule.num_scales - 1, {}

    class Given_(PlainSession):
        rows_per_image = len(bits[0])

        def __init__(self, setup, images):
            super().__init__(setup, [i for i in images for _ in range(self.rows_per_image)])

        def select(self, scale, f_hat):
            if f"rewards_scale_{scale}" in tensors or scale == last:
                rewards[scale] = reward(decode(tokenizer, f_hat))
            return torch.tensor([0]) if scale == last else survivors.get(scale)

    class Branching(DecodingStrategy):
        name, title = "branching", "Given survivors"

        def session(self, setup, images):
            return Given_(setup, images)

    seen = {"filtered": {}, "f_hat": {}}
    setup = RunSetup(
        tokenizer=tokenizer,
        backbone=backbone,
        schedule=schedule,
        conditioning=Prompt(TextFeatures(tensors["text_features"], [spec["text_len"]])),
        images=(0,),
        noise=Silent(),
        sampling=BitSampling(temperature=spec["tau"], top_p=0),
        guidance=ScaleGuidance(scale=spec["cfg"]),
        cache=Full(),
        decoding=Branching(),
        substitution=Forced(tokenizer, bits),
        observe=lambda what, scale, x: seen.get(what, {}).__setitem__(scale, x),
    )
    for _ in run(setup):
        pass
    for k, batch in enumerate(spec["batch_at_scale"]):
        assert len(seen["filtered"][k]) == batch
        close(seen["filtered"][k], tensors[f"logits_{k}"], spec)
    close(seen["f_hat"][last], tensors["final_summed_codes"], spec)
    for scale, got in rewards.items():
        want = tensors["final_scores" if scale == last else f"rewards_scale_{scale}"]
        torch.testing.assert_close(got, want, atol=spec["reward_tolerance"], rtol=0)
        if scale != last:
            logs = selection.potential("value", want, want[:, None][:, :0], spec["lambda"])
            torch.testing.assert_close(logs.exp(), tensors[f"rates_scale_{scale}"])


class Prompt(Given):
    """One prompt for all candidates of the only image."""

    def embed(self, backbone, rows, adapter=None):
        asked = blocks(rows)
        count = len(asked["full"])
        text = TextFeatures.of([self.text.packed] * count)
        return Given(text).embed(backbone, batch_rows(list(asked), range(count)))


def reward(images):
    """Red minus blue, as the fixture says."""
    pixels = torch.from_numpy(images).float()
    return (pixels[..., 0] - pixels[..., 2]).mean((1, 2)) / 32


def branching_models(golden):
    """Weights lie in other fixtures of the same split."""
    suffix = golden.stem.removeprefix("tts_var_branching")
    names = [f"infinity_{name}{suffix}" for name in ("tiny_weights", "bsq_tokenizer")]
    state, vae = (golden.sibling(f"{name}.safetensors") for name in names)
    vae_spec = json.loads((golden.folder / f"{names[1]}.json").read_text())
    vae = {k.removeprefix("w."): v for k, v in vae.items() if k.startswith("w.")}
    return tokenizer_of(vae_spec, vae), model_of(golden.spec, state)
