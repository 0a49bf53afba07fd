"""Recipes, samplers, splits and the frozen test scenes."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from var_spaces.errors import UnknownName, VarSpacesError
from var_spaces.training.data import frozen_scenes
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch, pack
from var_spaces.training.data.counter import below, chance, choose, cumulative, draw
from var_spaces.training.data.index import CORE_64, EASY_STYLES, INDEX_NAME, default_folder
from var_spaces.training.data.palette import BACKGROUNDS, luminance
from var_spaces.training.data.recipes import EASY, RECIPES, WIDE, Recipe, recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler, atlas_splits

ATLAS = Atlas.load()
SAMPLERS = {name: SceneSampler(ATLAS, value) for name, value in RECIPES.items()}
FIRST_NUMBERS = [[1451924235, 1155905713], [595752380, 4170851686]]


def same(one: SceneBatch, two: SceneBatch) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(two, f.name)) for f in fields(SceneBatch))


# Random numbers


def test_draw_is_fixed_forever() -> None:
    """Seeds in cards and logs keep their meaning only as long as these numbers stay."""
    assert draw(0, torch.arange(2), 2).tolist() == FIRST_NUMBERS


def test_draw_is_uniform_and_seeds_differ() -> None:
    numbers = draw(7, torch.arange(20_000), 4)
    assert numbers.min() >= 0 and numbers.max() < 2**32
    assert (numbers.double().mean(0) / 2**32 - 0.5).abs().max() < 0.01
    correlation = torch.corrcoef(numbers.double().T)
    assert (correlation - torch.eye(4)).abs().max() < 0.03
    assert not torch.equal(numbers, draw(8, torch.arange(20_000), 4))
    assert numbers.unique().numel() > 79_900
    assert below(numbers, 10).flatten().bincount().tolist() == pytest.approx([8000] * 10, rel=0.05)
    assert chance(numbers, 0.3).double().mean() == pytest.approx(0.3, abs=0.01)
    assert not chance(numbers, 0.0).any() and chance(numbers, 1.0).all()
    counts = choose(numbers.flatten(), cumulative([1, 0, 3])).bincount(minlength=3) / 80_000
    assert counts.tolist() == pytest.approx([0.25, 0, 0.75], abs=0.01)


# Sampler


@pytest.mark.parametrize("name", RECIPES)
def test_rows_depend_on_their_index_only(name: str) -> None:
    sampler = SAMPLERS[name]
    batch = sampler.batch(3, 0, 8)
    assert same(batch.rows(slice(3, 5)), sampler.batch(3, 3, 2))
    assert same(batch, SceneSampler(ATLAS, RECIPES[name]).batch(3, 0, 8))
    assert not same(batch, sampler.batch(4, 0, 8))
    far = sampler.batch(3, 10**12, 4)
    assert same(far.rows(slice(2, 3)), sampler.batch(3, 10**12 + 2, 1))


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(list(RECIPES)), st.integers(0, 2**63 - 1), st.integers(0, 10**9))
def test_record_and_row_are_the_same_picture(name: str, seed: int, index: int) -> None:
    sampler = SAMPLERS[name]
    images = render(ATLAS, sampler.batch(seed, index, 3))
    scene = sampler.scene(seed, index + 1)
    assert torch.equal(render(ATLAS, pack(ATLAS, [scene]))[0], images[1])


def test_easy_recipe_is_what_it_says() -> None:
    batch = SAMPLERS["easy"].batch(0, 0, 4000)
    assert batch.slots == 1
    assert set(batch.concept.flatten().tolist()) == set(ATLAS.core64)
    assert set(batch.style.flatten().tolist()) == set(ATLAS.easy_styles)
    assert len(SAMPLERS["easy"].pairs) == 304
    assert batch.size.min() > 0.8399 and batch.size.max() < 0.9401
    for centre in (batch.cx, batch.cy):
        assert (centre - 0.5).abs().max() < 0.0201
    assert not batch.flip.any() and (batch.tint < 0).all() and (batch.ink < 0).all()
    names = list(BACKGROUNDS)
    share = {names[i]: (batch.background[:, 0] == i).double().mean().item() for i in range(14)}
    expected = {"white": 0.6, "sky": 0.1, "cream": 0.1, "pink": 0.1, "blue": 0.1}
    assert share == pytest.approx({name: expected.get(name, 0.0) for name in names}, abs=0.025)


def test_wide_recipe_is_what_it_says() -> None:
    batch = SAMPLERS["wide"].batch(0, 0, 8000)
    objects = (batch.sprite >= 0).sum(1)
    share = objects.bincount(minlength=4) / len(batch)
    assert share.tolist() == pytest.approx([0, 0.5, 0.25, 0.25], abs=0.02)
    used = batch.sprite >= 0
    assert torch.equal(used, batch.concept >= 0) and torch.equal(used, batch.style >= 0)
    assert (batch.sprite[used] == ATLAS.table[batch.concept[used], batch.style[used]]).all()
    half = batch.size / 2
    for centre in (batch.cx, batch.cy):
        assert (centre - half)[used].min() > -1e-3 and (centre + half)[used].max() < 1.001
    fox = ATLAS.style_id("fox")
    assert fox not in batch.style and batch.style[used].unique().numel() == 6
    graded = batch.background[:, 0] != batch.background[:, 1]
    assert graded.double().mean() == pytest.approx(0.08, abs=0.02)
    white = (batch.background[:, 0] == 0).double().mean()
    assert white == pytest.approx(0.3, abs=0.02)
    several = objects > 1
    assert (batch.size[several][used[several]] <= 0.5001).all()
    inked = batch.style == ATLAS.style_id("ink")
    assert torch.equal(batch.ink[..., 0] >= 0, inked)
    assert ((batch.tint >= 0) & inked).sum() == 0 and (batch.tint >= 0).any()


def test_objects_of_one_scene_stand_apart() -> None:
    batch = SAMPLERS["wide"].batch(1, 0, 2000)
    pairs = batch.rows(batch.sprite[:, 1] >= 0)
    distance = torch.maximum(
        (pairs.cx[:, 0] - pairs.cx[:, 1]).abs(), (pairs.cy[:, 0] - pairs.cy[:, 1]).abs()
    )
    assert distance.min() > 0.18


def test_ink_shows_on_its_background() -> None:
    batch = SAMPLERS["wide"].batch(2, 0, 3000)
    plain = batch.rows(batch.background[:, 0] == batch.background[:, 1])
    weights = torch.tensor([0.299, 0.587, 0.114])
    inked = plain.ink[..., 0] >= 0
    contrast = ((plain.ink @ weights) - (plain.colours[:, :1] @ weights)).abs()
    assert contrast[inked].min() >= 59
    assert luminance((255, 255, 255)) == pytest.approx(255)


def test_same_style_share() -> None:
    two = {"counts": (0.0, 1.0, 0.0)}
    for share, expected in ((1.0, 1.0), (0.0, 1 / 6)):
        sampler = SceneSampler(ATLAS, replace(WIDE, same_style=share, **two))
        style = sampler.batch(0, 0, 3000).style
        same_style = (style[:, 0] == style[:, 1]).double().mean()
        assert same_style == pytest.approx(expected, abs=0.03)


def test_labels_count_in_recipe_order() -> None:
    sampler = SAMPLERS["easy"]
    batch = sampler.batch(9, 0, 200)
    classes, styles = sampler.labels(batch)
    for row in range(200):
        concept = ATLAS.concepts[int(batch.concept[row, 0])].name
        assert CORE_64[int(classes[row])] == concept
        assert EASY_STYLES[int(styles[row])] == ATLAS.styles[int(batch.style[row, 0])]


def test_bad_requests_are_refused() -> None:
    with pytest.raises(VarSpacesError, match="start is at least 0"):
        SAMPLERS["easy"].batch(0, -1, 4)
    with pytest.raises(UnknownName, match="Did you mean 'wide'"):
        recipe("wid")
    assert recipe("easy") is EASY
    with pytest.raises(VarSpacesError, match="holds no pair"):
        SceneSampler(ATLAS, replace(EASY, split="unseen_concepts"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, "split"),
        ({"flip": 1.5}, "flip is 1.5"),
        ({"size": (0.9, 0.2)}, "size must be a range"),
        ({"jitter": 0.9}, "jitter is 0.9"),
        ({"counts": (0, 0, 0)}, "counts needs weights"),
        ({"counts": (1, 1)}, "one, two and three"),
        ({"backgrounds": {}}, "backgrounds needs weights"),
        ({"backgrounds": {"whit": 1}}, "Did you mean 'white'"),
    ],
)
def test_bad_recipes_are_refused(change: dict, message: str) -> None:
    with pytest.raises(VarSpacesError, match=message):
        Recipe(**{"concepts": None, "styles": ("flat",), **change})


# Splits


def test_split_sizes() -> None:
    splits = atlas_splits(ATLAS)
    assert len(splits.concepts) == 22 and not splits.concepts & set(CORE_64)
    easy = {(c, s) for c, s in splits.pairs if c in CORE_64 and s in EASY_STYLES}
    assert len(easy) == 16 and len(splits.pairs) == 126
    assert splits.style == "fox"
    assert not any(concept in splits.concepts or style == "fox" for concept, style in splits.pairs)


def test_splits_are_disjoint_and_complete() -> None:
    base = replace(WIDE, styles=ATLAS.styles)
    parts = {}
    for split in ("train", "unseen_pairs", "unseen_concepts", "unseen_style", "all"):
        pairs = SceneSampler(ATLAS, replace(base, split=split)).pairs.tolist()
        parts[split] = {tuple(pair) for pair in pairs}
    everything = parts.pop("all")
    assert sum(map(len, parts.values())) == len(everything) == 2971
    assert set().union(*parts.values()) == everything


def test_every_concept_and_style_of_a_training_set_is_trained() -> None:
    for name in RECIPES:
        sampler = SAMPLERS[name]
        assert set(sampler.pairs[:, 1].tolist()) == set(sampler.styles.tolist())
    assert set(SAMPLERS["easy"].pairs[:, 0].tolist()) == set(ATLAS.core64)
    assert SAMPLERS["wide"].pairs[:, 0].unique().numel() == 443 - 22


def test_splits_in_the_index_are_the_computed_ones() -> None:
    data = json.loads((default_folder() / INDEX_NAME).read_text(encoding="utf-8"))["splits"]
    splits = atlas_splits(ATLAS)
    assert data["unseen_style"] == splits.style
    assert frozenset(data["unseen_concepts"]) == splits.concepts
    assert frozenset(map(tuple, data["unseen_pairs"])) == splits.pairs


# Frozen scenes


def test_frozen_scenes_hold_unseen_things_only() -> None:
    splits = atlas_splits(ATLAS)
    scenes = frozen_scenes.load_test_scenes()
    assert {split: len(items) for split, items in scenes.items()} == {
        "unseen_concepts": 1000,
        "unseen_pairs": 1000,
    }
    for split, items in scenes.items():
        assert len({item.scene.to_json() for item in items}) == 1000
        for item in items:
            found = {splits.split_of(thing.concept, thing.style) for thing in item.scene.objects}
            assert found == {split}
        assert len({item.caption for item in items}) > 900
    some = [item.scene for item in scenes["unseen_pairs"][:64]]
    assert render(ATLAS, pack(ATLAS, some)).shape == (64, 3, 64, 64)


def test_frozen_scenes_file_is_canonical(tmp_path) -> None:
    path = default_folder() / frozen_scenes.FILE_NAME
    assert frozen_scenes.dump(frozen_scenes.load_test_scenes()) == path.read_text(encoding="utf-8")
    out = tmp_path / "scenes.json"
    assert frozen_scenes.main(["--out", str(out)]) == 0
    assert {k: len(v) for k, v in frozen_scenes.load_test_scenes(out).items()} == {
        "unseen_concepts": 1000,
        "unseen_pairs": 1000,
    }
    for text, message in (("{", "not valid JSON"), ('{"format":1}', "format 2")):
        out.write_text(text)
        with pytest.raises(VarSpacesError, match=message):
            frozen_scenes.load_test_scenes(out)
    out.unlink()
    with pytest.raises(VarSpacesError, match="frozen_scenes"):
        frozen_scenes.load_test_scenes(out)
