"""Training of an editor from a text model, on tiny networks for two steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from var_spaces.api import generate
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.training.__main__ import main
from var_spaces.training.engine.plan import Options, Plan
from var_spaces.training.recipes.instruct import InstructRecipe
from var_spaces.zoo.cards import read_card
from var_spaces.zoo.writer import save_model

EDIT = """
kind = "instruct"
id = "edit"
[recipe]
start = "t2i"
reference = "{reference}"
text_tokens = 48
eval_images = 2
[train]
batch_size = 4
eval_minutes = 1000
log_every = 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder with random models ``bits`` and ``t2i`` of 64 px and, trained from them, an editor and
    one that never sees the source."""
    root = tmp_path_factory.mktemp("editors")
    write_text_models(root / "models")
    for reference in ("aligned", "none"):
        (root / "edit.toml").write_text(EDIT.format(reference=reference))
        arguments = ["instruct", "--config", str(root / "edit.toml"), "--steps", "2", "--quiet"]
        arguments += ["--device", "cpu", "--models", str(root / "models")]
        arguments += ["--runs", str(root / "runs"), "--name", f"edit-{reference}"]
        assert main(arguments) == 0
    return root


def write_text_models(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = {"ch": 16, "ch_mult": [1, 1], "num_res_blocks": 1, "bits": 4, "norm_groups": 8}
    tokenizer |= {"stem_patch": 4, "patch_nums": [1, 2, 8]}
    backbone = {"depth": 2, "width": 48, "heads": 2, "latent_dim": 4, "text_dim": 384}
    backbone |= {"text_len": 48, "patch_nums": [1, 2, 8], "rope_extent": 8}
    common = {"format": 1, "resolution": 64, "licence": "Apache-2.0"}
    bits, model = Bitwise(BitwiseConfig(**tokenizer)), Infinity(InfinityConfig(**backbone))
    card = {"id": "bits", "title": "Bits", "family": "bitwise", "role": "tokenizer"}
    save_model(folder / "bits", {**common, **card, "architecture": tokenizer}, bits.state_dict())
    card = {"id": "t2i", "title": "Text", "family": "infinity", "role": "generator"}
    card |= {"tokenizer": "bits", "text_encoder": {"name": "minilm", "max_length": 48}}
    save_model(folder / "t2i", {**common, **card, "architecture": backbone}, model.state_dict())


def test_cards(trained):
    card = read_card(trained / "models/edit-aligned/card.json")
    assert card.family == "varedit" and card.tokenizer == "bits"
    assert dict(card.adapter) == {
        "name": "scale-aligned-reference",
        "rope_layout": "aligned",
        "reference": "aligned",
        "source_dropout": True,
    }
    assert card.defaults["task"]["name"] == "instruct"
    assert read_card(trained / "models/edit-none/card.json").adapter["reference"] == "none"


def test_what_a_model_reads_is_measured(trained):
    """A model that never sees the source does not care whose it is."""
    card = json.loads((trained / "models/edit-none/card.json").read_text())
    for split in ("train", "unseen_pairs", "unseen_combinations"):
        usual, words, sources = (
            card["metrics"][f"nats_{split}{shuffled}"]
            for shuffled in ("", "_shuffled_words", "_shuffled_sources")
        )
        assert usual == sources and usual == pytest.approx(words, abs=0.1)
        assert usual == pytest.approx(np.log(2), abs=0.1)
    assert (trained / "models/edit-aligned/samples.png").is_file()


@pytest.mark.parametrize("reference", ["aligned", "none"])
def test_what_was_trained_edits(trained, monkeypatch, reference):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(trained / "models"))
    picture = np.random.default_rng(0).integers(0, 256, (50, 64, 3), np.uint8)
    model = f"edit-{reference}"
    (image,) = generate(model=model, image=picture, instruction="make it blue", seed=1)
    assert image.size == (64, 50)


def built(trained: Path, **settings: object) -> InstructRecipe:
    """The recipe of an editor from ``t2i``."""
    recipe = {"start": "t2i", "text_tokens": 48, **settings}
    options = Options(models=trained / "models", device="cpu")
    return InstructRecipe.build(
        Plan({"kind": "instruct", "id": "edit", "recipe": recipe}, InstructRecipe, options)
    )


def test_gradients_reach_what_reads_the_source(trained):
    """The source pass is part of the loss: with it alone changed, the loss changes."""
    recipe = built(trained)
    batch = recipe.batch(recipe.edits.batch(0, 0, 2))
    source = batch.source.requires_grad_()
    logits = recipe.model(batch.text, batch.tokens, extend=recipe.extend(recipe.model, source))
    logits.square().mean().backward()
    assert source.grad.abs().max() > 0
    assert torch.isfinite(source.grad).all()


def test_tokens_that_an_edit_changes_count_more():
    """The left half changes: cells of it weigh 3, cells across the border the mean."""
    from var_spaces.schedule import ScaleSchedule
    from var_spaces.training.losses.changed import changed_weights

    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    weights = changed_weights(mask, ScaleSchedule(((1, 1), (2, 4))), 3.0)
    assert weights.tolist() == [[2, 3, 3, 1, 1, 3, 3, 1, 1]]


def test_operations_are_drawn_as_the_recipe_says(trained):
    from var_spaces.training.data.edits import WEIGHTS

    recipe = built(trained, operations=dict.fromkeys(WEIGHTS, 0.0) | {"background": 1.0})
    assert {edit.operation for edit in recipe.edits.batch(0, 0, 8)} == {"background"}
    with pytest.raises(VarSpacesError, match="not recolor"):
        built(trained, operations={"recolor": 1.0})


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_sources_are_dropped_as_often_as_asked(trained, monkeypatch, share):
    recipe, seen = built(trained, drop_source=share, drop_text=0.0, drop_both=0.0), []
    extend = recipe.extend
    monkeypatch.setattr(recipe, "extend", lambda *given: seen.append(given[1]) or extend(*given))
    with torch.no_grad():
        recipe.loss(recipe.model, 0, 0, 4)
    (sources,) = seen
    assert sources.flatten(1).any(1).tolist() == [share == 0] * 4
