"""FlexVAR's recipes: random schedules, starts from trained VAR models, and a run of each kind."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.engine.test_trainer import TOKENIZER, TRANSFORMER, options
from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.flex_vq import FlexVQ
from var_spaces.training.engine.models import load
from var_spaces.training.engine.runs import train
from var_spaces.training.recipes.flex_schedules import RandomSchedules
from var_spaces.training.recipes.flex_start import start_from
from var_spaces.training.recipes.flex_tokenizer import FlexTokenizerConfig, FlexTokenizerRecipe
from var_spaces.training.recipes.flex_transformer import (
    FlexTransformerConfig,
    FlexTransformerRecipe,
    continued,
)

CPU = torch.device("cpu")
FLEX_TOKENIZER = """
kind = "flex-tokenizer"
id = "flex-tok"
[model]
ch = 16
ch_mult = [1, 1]
num_res_blocks = 1
stem_patch = 4
norm_groups = 8
z_channels = 4
latent_dim = 5
quant_conv_ks = 3
vocab_size = 32
patch_nums = [1, 2, 8]
[recipe]
scenes = "easy"
start = "tok"
fit_images = 64
reset_every = 2
eval_images = 4
[train]
batch_size = 4
eval_minutes = 1000
log_every = 1
"""
FLEX_TRANSFORMER = """
kind = "flex-transformer"
id = "flex"
[recipe]
tokenizer = "flex-tok"
start = "var"
depth = 2
width = 32
heads = 2
fit_images = 32
middle = [3, 5, 2]
late = [6, 7, 1]
budget = 140
eval_images = 4
[train]
batch_size = 4
log_every = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which a tokenizer, a VAR and both FlexVAR models have made one step each."""
    root = tmp_path_factory.mktemp("flex")
    recipes = {"tok": TOKENIZER, "var": TRANSFORMER, "flex-tok": FLEX_TOKENIZER}
    recipes |= {"flex": FLEX_TRANSFORMER}
    for name, text in recipes.items():
        (root / f"{name}.toml").write_text(text)
        train(str(root / f"{name}.toml"), options(root, 1))
    return root


def card(folder, name: str) -> dict:
    return json.loads((folder / "models" / name / "card.json").read_text())


@given(
    seed=st.integers(0, 2**32),
    keep_last=st.booleans(),
    stretch=st.sampled_from([0.0, 0.5, 1.0]),
    aspect=st.floats(1, 3),
)
def test_schedules_begin_small_and_keep_to_their_budget(seed, keep_last, stretch, aspect):
    rule = RandomSchedules(keep_last=keep_last)
    sides = rule.sides(random.Random(seed))
    assert sides[:2] == [1, 2] and sides == sorted(set(sides))
    assert sum(side * side for side in sides) <= rule.budget
    assert not keep_last or sides[-1] == 16
    drawn = replace(rule, stretch=stretch, aspect=aspect).draw(random.Random(seed))
    height, width = drawn.last
    assert 1 / aspect - 0.25 <= height / width <= aspect + 0.5
    assert stretch or height == width


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"middle": (3, 4, 5)}, "5 different sides cannot be drawn of 3 to 4"),
        ({"usual": (2, 4)}, "begins with 1, 2"),
        ({"aspect": 0.5}, "aspect is 1 or more"),
    ],
)
def test_impossible_rules_are_refused(settings, said):
    with pytest.raises(VarSpacesError, match=said):
        RandomSchedules(**settings)


def test_a_started_tokenizer_has_the_latents_of_the_other_and_one_channel_more(folder):
    trained = load(folder / "models" / "tok")
    model = FlexVQ(load(folder / "models" / "flex-tok").config)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    start_from(model, trained, images)
    f = model.latent(images)
    torch.testing.assert_close(f[:, :-1], trained.latent(images))
    assert f[:, -1].unique().numel() == 1 and f[0, -1, 0, 0] > 0
    # a direction with the constant's length is the latent again, but for its own small length
    whole = torch.cat([trained.latent(images), f[:, -1:]], 1)
    expected = trained.decoder(trained.post_quant_conv(whole[:, :-1]))
    got = model.decode(whole / whole.norm(dim=1).mean())
    torch.testing.assert_close(got, expected, rtol=0.3, atol=0.3 * expected.abs().max().item())
    with pytest.raises(VarSpacesError, match="latent_dim = 5"):
        start_from(FlexVQ(replace(model.config, latent_dim=6)), trained, images)


def test_a_frozen_encoder_leaves_the_decoder_to_learn(folder):
    trained = load(folder / "models" / "tok")
    sizes = load(folder / "models" / "flex-tok").config
    config = FlexTokenizerConfig(scenes="easy", start="tok", freeze=True, fit_images=64)
    recipe = FlexTokenizerRecipe(sizes, config, 0, CPU, start=trained)
    recipe.loss(recipe.model, 0, 0, 2)[0].backward()
    learning = {name for name, p in recipe.model.named_parameters() if p.grad is not None}
    assert learning and all(name.startswith(("decoder.", "post_quant_conv.")) for name in learning)
    assert recipe.sizes(3) == recipe.sizes(3) and recipe.sizes(3)[0] == (8, 8)
    with pytest.raises(VarSpacesError, match="freeze needs a start"):
        FlexTokenizerConfig(freeze=True)


def test_a_started_transformer_begins_ahead_of_a_fresh_one(folder):
    tokenizer = load(folder / "models" / "flex-tok")
    start = load(folder / "models" / "var")
    sizes = {"depth": 2, "width": 32, "heads": 2, "fit_images": 64}
    random_ = {"middle": (3, 5, 2), "late": (6, 7, 1), "budget": 140, "usual_share": 1.0}
    config = FlexTransformerConfig(tokenizer="flex-tok", stretch=0.0, **sizes, **random_)
    fresh = FlexTransformerRecipe(tokenizer, config, 0, CPU)
    begun = FlexTransformerRecipe(tokenizer, config, 0, CPU, start)
    with torch.no_grad():
        before, after = (one.loss(one.model, 0, 1000, 16)[0] for one in (fresh, begun))
    assert after < before - 0.05
    with pytest.raises(VarSpacesError, match="other sizes"):
        FlexTransformerRecipe(tokenizer, replace(config, depth=3), 0, CPU, start)


def test_other_shapes_show_the_scene_and_more_of_its_background():
    images = torch.rand(2, 3, 8, 8)
    assert continued(images, 8, 8, 0) is images
    wide = continued(images, 8, 20, 1)
    assert wide.shape == (2, 3, 8, 20)
    places = [x for x in range(13) if torch.equal(wide[..., x : x + 8], images)]
    assert len(places) == 1
    assert torch.equal(wide[..., 0], images[..., 0]) and torch.equal(wide[..., -1], images[..., -1])
    assert torch.equal(wide, continued(images, 8, 20, 1))


def test_runs_write_models_that_say_how_they_draw(folder):
    found = card(folder, "flex-tok")
    assert (found["family"], found["role"]) == ("flex-vq", "tokenizer")
    assert any(name.startswith("codebook_usage") for name in found["metrics"])
    found = card(folder, "flex")
    assert (found["family"], found["tokenizer"]) == ("flexvar", "flex-tok")
    assert found["defaults"]["sampling"]["name"] == "flexvar"
    assert len(found["classes"]) == found["architecture"]["num_classes"]
