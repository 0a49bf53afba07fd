"""A class-conditional transformer begins with what fits of another, and its steps see prefixes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.training.engine.test_trainer import TOKENIZER, TRANSFORMER, options
from var_spaces.errors import VarSpacesError
from var_spaces.training.engine.models import load
from var_spaces.training.engine.runs import train
from var_spaces.training.recipes.transformer import TransformerConfig, TransformerRecipe

CPU = torch.device("cpu")
LONGER = TOKENIZER.replace('"tok"', '"longer"').replace("[1, 2, 8]", "[1, 2, 4, 8]")
SIZES = {"depth": 2, "width": 32, "heads": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("class")
    for name, text in {"tok": TOKENIZER, "longer": LONGER, "var": TRANSFORMER}.items():
        (root / f"{name}.toml").write_text(text)
        train(str(root / f"{name}.toml"), options(root, 1))
    return root


def test_blocks_of_another_schedule_are_taken(folder):
    tokenizer, start = (load(folder / "models" / name) for name in ("longer", "var"))
    config = TransformerConfig(tokenizer="longer", **SIZES)
    own = TransformerRecipe(tokenizer, config, 0, CPU, start).model.state_dict()
    for name, weight in start.state_dict().items():
        if name.startswith(("blocks.", "class_emb.", "style_emb.")):
            assert torch.equal(own[name], weight), name
    assert own["pos_1LC"].shape[1] == 1 + 4 + 16 + 64
    other = replace(config, width=48)
    with pytest.raises(VarSpacesError, match="same depth, width and heads"):
        TransformerRecipe(tokenizer, other, 0, CPU, start)


def test_a_short_step_has_the_loss_of_the_first_scales(folder):
    """Equal to the mean over these of a step that sees all."""
    tokenizer = load(folder / "models" / "longer")
    config = TransformerConfig(tokenizer="longer", **SIZES)
    short = TransformerRecipe(tokenizer, replace(config, full=0.01, shortest=2), 0, CPU)
    seen = {}
    for step in range(8):
        with torch.no_grad():
            loss, logs = short.loss(short.model, step, 40, 4)
        seen[logs["scales"]] = loss
    assert set(seen) == {2, 3}
    labels, styles, ids, tokens = short.training_batch(40, 4)
    with torch.no_grad():
        logits = short.model(labels, tokens, styles)
    for scales, loss in seen.items():
        end = short.model.schedule.offsets[scales]
        whole = cross_entropy(logits[:, :end].flatten(0, 1), ids[:, :end].ravel())
        torch.testing.assert_close(loss, whole)
    short.widen(replace(config, full=0.01, shortest=1, longest=1))  # a stage of its own
    assert {short.prefixes.draw(0, step) for step in range(8)} == {1}
    with pytest.raises(VarSpacesError, match="1 to 4"):
        TransformerRecipe(tokenizer, replace(config, shortest=5), 0, CPU)


def test_a_run_begins_with_another_model(folder):
    more = TRANSFORMER.replace('"var"', '"second"').replace('"tok"', '"longer"\nstart = "var"')
    (folder / "second.toml").write_text(more)
    train(str(folder / "second.toml"), options(folder, 1))
    card = json.loads((folder / "models" / "second" / "card.json").read_text())
    assert card["architecture"]["patch_nums"] == [1, 2, 4, 8]
