"""Pairs of a reference and a scene: the same thing, nothing else the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.palette import BACKGROUNDS
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler, atlas_splits
from var_spaces.training.data.subjects import References, SubjectSampler

COUNT = 400


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


@pytest.mark.parametrize("name", ["composed", "wide"])
def test_the_very_same_thing(atlas, name):
    sampler = SceneSampler(atlas, recipe(name))
    pairs = SubjectSampler(sampler).batch(3, 0, COUNT)
    one = torch.arange(COUNT)
    for field in ("sprite", "concept", "style", "tint", "ink"):
        of_scene = getattr(pairs.scenes, field)[one, pairs.slot]
        assert torch.equal(getattr(pairs.references, field)[:, 0], of_scene)
    assert (pairs.references.sprite >= 0).all()
    assert pairs.slot.unique().tolist() == [0, 1, 2]
    assert torch.equal(pairs.scenes.sprite, sampler.batch(3, 0, COUNT).sprite)
    flipped = pairs.references.flip[:, 0] ^ pairs.scenes.flip[one, pairs.slot]
    assert 0.4 < flipped.float().mean() < 0.6


def test_another_background_unless_white(atlas):
    sampler = SceneSampler(atlas, recipe("composed"))
    pairs = SubjectSampler(sampler, References(white=0)).batch(0, 0, COUNT)
    assert (pairs.references.background != pairs.scenes.background[:, :1]).all()
    assert len(pairs.references.background.unique()) == len(BACKGROUNDS)
    white = SubjectSampler(sampler, References(white=1)).batch(0, 0, COUNT)
    assert white.references.background.unique().tolist() == [list(BACKGROUNDS).index("white")]


def test_the_whole_thing_is_seen_and_inks_show(atlas):
    pairs = SubjectSampler(SceneSampler(atlas, recipe("wide"))).batch(1, 0, COUNT)
    references = pairs.references
    for centre in (references.cx, references.cy):
        assert (centre - references.size / 2 > -1e-3).all()
        assert (centre + references.size / 2 < 1 + 1e-3).all()
    contrast = render(atlas, references, 32).amax((1, 2, 3)) - render(atlas, references, 32).amin(
        (1, 2, 3)
    )
    assert (contrast > 0.1).all()


def test_any_row_alone_and_held_out_things(atlas):
    held_out = SceneSampler(atlas, replace(recipe("wide"), split="unseen_concepts"))
    sampler = SubjectSampler(held_out)
    several, one = sampler.batch(5, 10, 20), sampler.batch(5, 17, 1)
    assert several.slot[7] == one.slot[0]
    for field in ("sprite", "cx", "size", "background", "flip"):
        row = getattr(several.references, field)[7:8]
        assert torch.equal(row, getattr(one.references, field))
    unseen = atlas_splits(atlas).concepts
    names = {atlas.concepts[i].name for i in several.references.concept.flatten().tolist()}
    assert names <= unseen


def test_what_no_reference_can_be():
    with pytest.raises(VarSpacesError, match="within 0 to 1"):
        References(size=(0.9, 0.5))
    with pytest.raises(VarSpacesError, match="white are 0 to 1"):
        References(white=2)
