"""Rewards and features on real pictures; those that need a download on tiny weights."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch

import var_spaces
from var_spaces import methods
from var_spaces.api import make_spec
from var_spaces.decoding.search.scoring import Asked
from var_spaces.errors import VarSpacesError
from var_spaces.rewards.dinov2 import DINOv2Features
from var_spaces.tasks.plan import plan

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures():
    """One key and one banana, drawn by the embedded model."""
    drawn = [
        var_spaces.generate(model="var-small", class_=name, style="soft", seed=1)[0]
        for name in ("key", "banana")
    ]
    return np.stack([np.asarray(image.convert("RGB")) for image in drawn])


@pytest.mark.parametrize("name", ["clip", "judge"])
def test_what_was_asked_for_is_better(pictures, name):
    asked = [Asked(f"{label}, soft style", label, "soft") for label in ("key", "banana")]
    score = methods.parse("reward", name).load(asked, CPU)
    right, wrong = score(pictures, [0, 1]), score(pictures, [1, 0])
    assert right.shape == (2,)
    assert right.sum() > wrong.sum()
    torch.testing.assert_close(score(pictures[1:], [1]), right[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["clip", "judge"])
def test_features_of_patches(pictures, name):
    found = methods.parse("features", name).load(CPU)(pictures)
    assert found.ndim == 3
    assert found.shape[0] == 2
    assert not torch.equal(found[0], found[1])


def test_dinov2_without_its_weights(tmp_path, pictures):
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Dinov2WithRegistersConfig(**sizes, image_size=224, patch_size=14)
    Dinov2WithRegistersModel(config).save_pretrained(tmp_path)
    found = DINOv2Features(checkpoint=str(tmp_path)).load(CPU)(pictures)
    assert found.shape == (2, 256, 16)
    with pytest.raises(VarSpacesError, match="Choose features 'clip'"):
        DINOv2Features(checkpoint=str(tmp_path / "none")).load(CPU)


@pytest.mark.parametrize(
    ("name", "package"), [("image-reward", "ImageReward"), ("hps", "open_clip")]
)
def test_missing_packages_are_named(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(VarSpacesError, match=r"pip install 'var-spaces\[rewards\]'"):
        methods.parse("reward", name).load([Asked("a key")], CPU)


def test_weights_that_cannot_be_had_are_told_before_anything_is_built(monkeypatch):
    import huggingface_hub

    def gone(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "open_clip", object())  # which builds nothing
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", gone)
    with pytest.raises(VarSpacesError, match=r"HPS_v2.1_compressed.pt.*no route"):
        methods.parse("reward", "hps").load([Asked("a key")], CPU)


def test_rewards_say_what_they_cannot_score():
    with pytest.raises(VarSpacesError, match="asks for nothing"):
        methods.parse("reward", "clip").load([Asked()], CPU)
    with pytest.raises(VarSpacesError, match="cannot tell the class 'goldfish'"):
        methods.parse("reward", "judge").load([Asked("goldfish", "goldfish")], CPU)


@pytest.mark.parametrize(
    ("decoding", "said"),
    [
        ({"name": "best-of-n", "reward": "judge"}, "cannot tell the class None"),
        ({"name": "tts-var"}, "asks for nothing"),
        ({"name": "best-of-n", "candidates": 1}, None),  # nothing is compared
    ],
)
def test_what_a_reward_cannot_score_is_refused_before_weights_are_read(decoding, said):
    spec, _ = make_spec("var-small", decoding=decoding)
    with pytest.raises(VarSpacesError, match=said) if said else nullcontext():
        plan(spec)
