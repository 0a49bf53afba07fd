"""Image encoders: shapes, and that they tell things apart from where they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack
from var_spaces.training.data.render import render
from var_spaces.training.data.scene import Object, Scene


def drawn(*things: Object) -> torch.Tensor:
    atlas = Atlas.load()
    return render(atlas, pack(atlas, [Scene("white", (thing,)) for thing in things]))


def test_clip_trunk_knows_a_thing_elsewhere():
    dog = Object("dog", "soft", size=0.9)
    moved = replace(dog, cx=0.55, size=0.7, flip=True)
    encoder = methods.parse("image_encoder", "clip-trunk")
    tokens = encoder.load("cpu")(drawn(dog, moved, Object("bus", "soft", size=0.9)))
    assert tokens.shape == (3, 1 + encoder.patches(64), 768)
    whole = F.normalize(tokens[:, 0], dim=1)
    same, other = whole[0] @ whole[1], whole[0] @ whole[2]
    assert same > other + 0.1
    alone = encoder.load("cpu")(drawn(dog))
    torch.testing.assert_close(alone, tokens[:1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("side", "patches"), [(256, 256), (512, 1024)])
def test_dinov2_as_published(tmp_path, monkeypatch, side, patches):
    from transformers import AutoModel, Dinov2Config, Dinov2Model

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    Dinov2Model(Dinov2Config(**sizes, image_size=224, patch_size=14)).save_pretrained(tmp_path)
    encoder = methods.parse("image_encoder", {"name": "dinov2", "checkpoint": str(tmp_path)})
    assert encoder.patches(side) == patches
    pictures = torch.zeros(2, 3, side, side)
    found = encoder.load("cpu")(pictures)
    assert found.shape == (2, 1 + patches, 16)
    monkeypatch.delattr(AutoModel, "from_pretrained")  # the next run reads nothing
    assert torch.equal(encoder.load(torch.device("cpu"))(pictures), found)


def test_dinov2_without_its_weights(tmp_path):
    encoder = methods.parse("image_encoder", {"name": "dinov2", "checkpoint": str(tmp_path / "x")})
    with pytest.raises(VarSpacesError, match="DINOv2 cannot be loaded from"):
        encoder.load("cpu")
