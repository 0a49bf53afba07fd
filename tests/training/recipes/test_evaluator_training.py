"""Training of scene parser and CLIP, on tiny networks for two steps, and what they are told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from var_spaces.evaluators.clip import ClipScorer
from var_spaces.evaluators.parser import SceneParser
from var_spaces.evaluators.parser_network import NONE, PLACES, Labels
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.training.__main__ import main
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack, unpack
from var_spaces.training.data.captions import CaptionRecipe, CaptionWriter
from var_spaces.training.data.clip_batches import GroupedScenes, truth
from var_spaces.training.data.frozen_prompts import facts_of
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.engine.config import embedded, read_config
from var_spaces.training.engine.recipe import recipes
from var_spaces.training.images.reconstructed import soften
from var_spaces.training.recipes.clip import contrastive, shares, start_from
from var_spaces.training.recipes.parser import COLOURS, hits
from var_spaces.training.recipes.parser import truth as parser_truth
from var_spaces.zoo.writer import save_model

ATLAS = Atlas.load()
ASSETS = Path(__file__).parents[3] / "assets"
BITS = {"ch": 16, "ch_mult": [1, 1], "num_res_blocks": 1, "stem_patch": 4, "norm_groups": 8}
BITS |= {"bits": 4, "patch_nums": [1, 2, 8]}
PARSER = """
kind = "parser"
id = "parser"
[recipe]
tokenizers = ["bits"]
width = 4
hidden = 16
sharp = 0.4
eval_images = 64
[train]
batch_size = 8
log_every = 1
"""
CLIP = """
kind = "clip"
id = "clip"
[model]
embed_dim = 16
width = 4
head_width = 32
text_width = 32
text_heads = 2
text_layers = 1
[recipe]
tokenizers = ["bits"]
reconstructed = 0.5
group = 4
naming = 0.5
eval_images = 16
[train]
batch_size = 8
log_every = 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder with a random tokenizer in ``models``, and both trained for two steps."""
    root = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    card = {"id": "bits", "family": "bitwise", "role": "tokenizer", "architecture": BITS}
    weights = Bitwise(BitwiseConfig(**{**BITS, "patch_nums": (1, 2, 8)})).state_dict()
    save_model(root / "models" / "bits", card, weights)
    for kind, text in (("parser", PARSER), ("clip", CLIP)):
        (root / f"{kind}.toml").write_text(text)
        arguments = [kind, "--config", str(root / f"{kind}.toml"), "--steps", "2", "--quiet"]
        for name in ("models", "evaluators", "runs"):
            arguments += [f"--{name}", str(root / name)]
        assert main([*arguments, "--device", "cpu"]) == 0
    return root


def test_the_trained_parser_reads_pictures(trained):
    parser = SceneParser(trained / "evaluators" / "parser")
    assert parser.card["tokenizers"] == ["bits"]
    assert {"concept_real", "whole_scene_reconstructed_by_bits"} <= parser.card["metrics"].keys()
    facts = parser(torch.rand(3, 3, 64, 64) * 2 - 1)
    assert len(facts) == 3
    assert parser([]) == []
    readme = (trained / "evaluators" / "parser" / "README.md").read_text()
    assert "ceiling" in readme
    rows = [json.loads(line) for line in (trained / "runs/parser/metrics.jsonl").open()]
    assert {"concept", "style", "colour", "background"} <= rows[0].keys()


def test_the_trained_clip_loads_and_both_phases_ran(trained):
    scorer = ClipScorer(trained / "evaluators" / "clip")
    assert not any(name.startswith("heads") for name in scorer.network.state_dict())
    assert scorer.score(torch.zeros(1, 3, 64, 64), ["a cat"]).shape == (1,)
    rows = [json.loads(line) for line in (trained / "runs/clip/metrics.jsonl").open()]
    steps = [row for row in rows if "loss" in row]
    assert ["contrastive" in row for row in steps] == [False, True]
    assert {"cosine_matched_real", "concept_of_64_unseen_pairs"} <= scorer.card["metrics"].keys()


def test_all_trains_every_embedded_model():
    for name in embedded():
        for recipe_name in (name, f"{name}-gpu"):
            data = read_config(recipe_name)
            assert data["id"] == name
            assert data["kind"] in recipes()
    order = list(embedded())
    shipped = {path.parent.name for path in ASSETS.glob("*/*/card.json")}
    assert shipped <= {*order}
    stands_on = ("tokenizer", "autoencoder", "start", "base", "teacher")
    for name in embedded():
        settings = read_config(name).get("recipe", {})
        others = (settings[key] for key in stands_on if settings.get(key))
        for needed in [*settings.get("tokenizers", []), *others]:
            assert order.index(needed) <= order.index(name)


def test_parser_truth_says_what_the_scene_holds():
    drawn = SceneSampler(ATLAS, replace(recipe("composed_wide"), split="all")).batch(5, 0, 200)
    sampler = SceneSampler(ATLAS, replace(recipe("composed_wide"), split="all"))
    names = [concept.name for concept in ATLAS.concepts]
    right = parser_truth(sampler, drawn)
    for row, scene in enumerate(unpack(ATLAS, drawn)):
        facts = facts_of(scene)
        found = {
            (
                names[right.concept[row, slot] - 1],
                sampler.recipe.styles[right.style[row, slot]],
                place,
                (None, *COLOURS)[right.colour[row, slot]],
            )
            for slot, place in enumerate(PLACES)
            if right.concept[row, slot] != NONE
        }
        assert found == {(s.concept, s.style, s.place, s.colour) for s in facts.things}
    assert torch.equal(right.background, drawn.background)


def test_hits():
    sampler = SceneSampler(ATLAS, recipe("composed"))
    right = parser_truth(sampler, sampler.batch(1, 0, 50))
    sizes = (65, 5, len(COLOURS) + 1, 14)
    perfect = Labels(
        *(F.one_hot(ids, size).float() for ids, size in zip(right, sizes, strict=True))
    )
    assert all(values.all() for values in hits(perfect, right).values())
    silent = perfect._replace(concept=F.one_hot(torch.zeros(50, 5, dtype=torch.long), 65).float())
    found = hits(silent, right)
    assert not found["concept"].any()
    assert not found["count"].any()
    assert not found["whole_scene"].any()
    assert found["background"].all()


def test_groups_share_background_and_style():
    groups = GroupedScenes(ATLAS, recipe("composed"), 8)
    drawn = groups.batch(3, 0, 64, "cpu")
    for at in range(0, 64, 8):
        part = drawn.rows(slice(at, at + 8))
        assert len(set(part.background.flatten().tolist())) == 1
        assert len(set(part.style[part.style >= 0].tolist())) == 1
    assert len(set(drawn.background.flatten().tolist())) > 2
    later = groups.batch(3, 16, 16, "cpu")
    assert torch.equal(later.sprite, drawn.sprite[16:32])


def test_which_caption_is_true_of_which_scene():
    cat, dog = Object("cat", "flat"), Object("dog", "flat")
    scenes = [
        Scene("white", (cat,)),
        Scene("blue", (cat,)),
        Scene("white", (replace(cat, style="soft"),)),
        Scene("white", (replace(cat, tint="blue"),)),
        Scene("white", (cat, dog)),
        Scene("white", (dog, cat)),
    ]
    drawn = pack(ATLAS, scenes)
    sure = CaptionRecipe(background=1, style=1, place=0, colour=1, synonym=0)
    expected = torch.eye(6, dtype=torch.bool)
    expected[4, 5] = expected[5, 4] = True
    assert torch.equal(truth(drawn, CaptionWriter(ATLAS, sure).batch(scenes, 0, 0)), expected)
    silent = CaptionWriter(ATLAS, replace(sure, background=0, style=0)).batch(scenes, 0, 0)
    expected[:3, :3] = True
    assert torch.equal(truth(drawn, silent), expected)


def test_contrastive_knows_several_right_answers():
    true = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    sure = torch.where(true, 20.0, -20.0)
    assert contrastive(sure, true).item() == pytest.approx(2 / 3 * 0.6931, abs=1e-3)
    assert contrastive(-sure, true) > 10
    plain = torch.randn(4, 4)
    labels = torch.arange(4)
    expected = (F.cross_entropy(plain, labels) + F.cross_entropy(plain.T, labels)) / 2
    torch.testing.assert_close(contrastive(plain, torch.eye(4).bool()), expected)


def test_shares():
    ids, used = torch.tensor([[2, 2, 0], [1, -1, -1]]), torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
    expected = torch.tensor([[1 / 3, 0, 2 / 3], [0, 1, 0]])
    torch.testing.assert_close(shares(ids, used, 3), expected)


def test_word_pieces_start_from_the_main_directions():
    table = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) @ torch.eye(3, 12)
    embedding = torch.nn.Embedding(50, 3)
    start_from(embedding, table)
    assert embedding.weight.std().item() == pytest.approx(0.02, rel=1e-3)
    before, after = torch.cdist(table, table), torch.cdist(embedding.weight, embedding.weight)
    torch.testing.assert_close(after / after.max(), before / before.max(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_soften_takes_an_even_share(share, count):
    class Black(torch.nn.Module):
        def reconstruct(self, images):
            return torch.full_like(images, -1)

    class White(torch.nn.Module):
        def reconstruct(self, images):
            return torch.ones_like(images)

    for step, value in ((0, -1), (1, 1)):
        images = soften(torch.zeros(8, 3, 4, 4), [Black(), White()], share, step)
        assert (images[:, 0, 0, 0] == value).sum() == count
    assert not soften(torch.zeros(8, 3, 4, 4), [], share, 0).any()


def test_scenes_are_rendered_as_the_parser_expects():
    scene = Scene("white", (Object("cat", "flat", 0.25, 0.75, 0.4),))
    picture = render(ATLAS, pack(ATLAS, [scene]))[0]
    quarter = picture[:, 32:, :32]
    assert (quarter < 0.9).any()
    assert facts_of(scene).things[0].place == "bottom left"
    assert (picture[:, :30] == 1).all()


def test_reconstructions_of_another_type_or_of_no_picture_fit_in():
    class Half(torch.nn.Module):
        def reconstruct(self, images):
            assert len(images)
            return (images * 0 + 1).bfloat16()

    images = torch.zeros(4, 3, 8, 8)
    assert soften(images.clone(), [Half()], 0.5, 0).flatten(1).mean(1).tolist() == [0, 1, 0, 1]
    assert soften(images[:2].clone(), [Half()], 0.25, 0).sum() == 0
