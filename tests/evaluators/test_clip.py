"""The embedded CLIP: the same numbers as open_clip, and a wrapper that takes any picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.evaluators.clips import CONFIG, write_clip
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.clip import ClipScorer, embedded
from var_spaces.evaluators.folder import EVALUATORS
from var_spaces.evaluators.pixels import as_batch

PROMPTS = ["a red apple on a blue background", "two cats", "", "a " * 80 + "bus"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def scorer(folder) -> ClipScorer:
    return ClipScorer(folder)


def pictures(count: int = 3, side: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def check_against_open_clip(folder: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    name = f"local-dir:{folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    ids = open_clip.get_tokenizer(name)(PROMPTS)
    scorer = ClipScorer(folder)
    with torch.no_grad():
        words = model.eval().encode_text(ids, normalize=True)
        images = model.encode_image(pictures(), normalize=True)
        ours = scorer.network.encode_image(pictures())
    torch.testing.assert_close(scorer.texts(PROMPTS), words, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(F.normalize(ours, dim=1), images, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(scorer.network.scale(), model.logit_scale.exp())
    # Its own way from a picture to numbers is ours.
    big = Image.fromarray(((pictures(1, 200)[0].permute(1, 2, 0) + 1) * 127.5).byte().numpy())
    with torch.no_grad():
        theirs = model.encode_image(preprocess(big)[None], normalize=True)
    assert F.cosine_similarity(scorer.images([big]), theirs).item() > 0.999


def test_equals_open_clip(folder):
    check_against_open_clip(folder)


def test_the_embedded_one_equals_open_clip():
    check_against_open_clip(EVALUATORS / "clip")


def test_features_and_scores(scorer):
    images, prompts = scorer.images(pictures(5), batch=2), scorer.texts(PROMPTS)
    assert images.shape == (5, CONFIG.embed_dim) == (5, scorer.dim)
    torch.testing.assert_close(images.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(scorer.similarity(pictures(5), PROMPTS), images @ prompts.T)
    torch.testing.assert_close(scorer.images(pictures(5)), images)
    own = scorer.score(pictures(4), PROMPTS)
    torch.testing.assert_close(own, (100 * (images[:4] @ prompts.T).diagonal()).clamp(min=0))
    assert scorer.images([]).shape == (0, scorer.dim)
    assert scorer.texts([]).shape == (0, scorer.dim)


def test_a_prompt_is_read_once(scorer, monkeypatch):
    first = scorer.texts(["a cat", "a dog", "a cat"])
    monkeypatch.setattr(scorer.network, "encode_text", None)
    assert torch.equal(scorer.texts(["a dog", "a cat"]), first[[1, 0]])


def test_the_oldest_prompts_are_forgotten(scorer, monkeypatch):
    """What is remembered is bounded; a call that asks for more still gets all."""
    read, plain = [], scorer.network.encode_text
    monkeypatch.setattr("var_spaces.evaluators.clip.KEPT_PROMPTS", 2)
    monkeypatch.setattr(scorer.network, "encode_text", lambda ids: read.append(1) or plain(ids))
    assert len(scorer.texts(["a cat", "a dog", "a bus"])) == 3
    scorer.texts(["a dog", "a bus"])
    assert len(read) == 1
    scorer.texts(["a cat"])
    assert len(read) == 2


def test_a_prompt_does_not_depend_on_its_company(scorer, folder):
    alone = ClipScorer(folder).texts(["a cat"])
    torch.testing.assert_close(scorer.texts([*PROMPTS, "a cat"])[-1:], alone)


def test_every_kind_of_picture(scorer):
    arrays = [(np.arange(s * s * 3) % 256).astype(np.uint8).reshape(s, s, 3) for s in (64, 32)]
    as_images = [Image.fromarray(array) for array in arrays]
    torch.testing.assert_close(scorer.images(arrays), scorer.images(as_images))
    tensor = torch.from_numpy(arrays[0]).permute(2, 0, 1)[None] / 127.5 - 1
    torch.testing.assert_close(scorer.images(tensor), scorer.images(arrays[:1]))
    for wrong in ([np.zeros((4, 4))], torch.zeros(1, 3, 4, 4).int(), torch.zeros(3, 4, 4)):
        with pytest.raises(VarSpacesError, match=r"Images|picture"):
            scorer.images(wrong)


def test_resized_pictures_stay_in_their_range():
    """A cubic overshoots at edges."""
    edges = (torch.arange(8) // 4 * 2.0 - 1).expand(1, 3, 8, 8)
    found = as_batch(edges, 32)
    assert found.shape == (1, 3, 32, 32)
    assert (found.min(), found.max()) == (-1, 1)


def test_gradients_reach_the_pixels(scorer):
    images = pictures().requires_grad_()
    scorer.network.visual.maps(images)[2].sum().backward()
    assert images.grad.abs().sum() > 0


def test_one_instance_is_shared(folder):
    assert embedded(folder=folder) is embedded("cpu", folder)


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(VarSpacesError, match="training clip --config clip"):
        embedded(folder=tmp_path / "clip")


def test_the_embedded_one_knows_objects():
    """What its card claims is above chance by far: one of 64 concepts."""
    card = json.loads((EVALUATORS / "clip" / "card.json").read_text("utf-8"))
    assert card["metrics"]["concept_of_64_train"] > 0.3
    assert embedded().card == card
