"""A VAR becomes an HMAR in two stages: what each of them changes, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.training.engine.test_trainer import TOKENIZER, TRANSFORMER, options
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.engine.models import load
from var_spaces.training.engine.runs import train
from var_spaces.training.engine.trainer import Trainer
from var_spaces.training.losses.tokens import position_weights
from var_spaces.training.recipes.hmar import HMARRecipe, HMARTraining, masked_positions

HMAR = """
kind = "hmar"
id = "hmar"
[recipe]
start = "var"
tokenizer = "tok"
branch = 1
eval_images = 4
[train]
batch_size = 4
log_every = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an untrained tokenizer and an untrained VAR."""
    root = tmp_path_factory.mktemp("hmar")
    (root / "tok.toml").write_text(TOKENIZER)
    (root / "var.toml").write_text(TRANSFORMER)
    (root / "hmar.toml").write_text(HMAR)
    train(str(root / "tok.toml"), options(root, 1))
    train(str(root / "var.toml"), options(root, 1))
    return root


def test_stages_train_their_own_part(folder):
    tokenizer = load(folder / "models" / "tok")
    start = load(folder / "models" / "var")
    settings = HMARTraining(tokenizer="tok", start="var", branch=1)
    first = HMARRecipe(tokenizer, start, settings, 0, torch.device("cpu"))
    own = {id(p) for p in first.model.masked_parameters()}
    first.loss(first.model, 0, 0, 2)[0].backward()
    assert all((p.grad is None) == (id(p) in own) for p in first.model.parameters())

    with torch.no_grad():
        first.model.ns_head.weight.add_(1)
    second = first.following(first.model)
    assert torch.equal(second.model.mask_head.weight, first.model.ns_head.weight)
    own = {id(p) for p in second.model.masked_parameters()}
    second.loss(second.model, 0, 0, 2)[0].backward()
    assert all((p.grad is None) == (id(p) not in own) for p in second.model.parameters())
    assert second.following(second.model) is None
    assert (first.budget_share + second.budget_share, first.stage, second.stage) == (
        1,
        "next-scale",
        "masked",
    )


def test_both_stages_are_one_run(folder):
    metrics = train(str(folder / "hmar.toml"), options(folder, 3))
    assert {"nats_trained_pairs", "nats_half_masked_trained_pairs"} <= metrics.keys()
    card = json.loads((folder / "models/hmar/card.json").read_text())
    assert (card["family"], card["architecture"]["branch"]) == ("hmar", 1)
    assert card["defaults"]["cache"] == {"name": "none"}
    assert card["training"]["steps"] == 3
    for stage, steps in (("next-scale", 2), ("masked", 1)):
        lines = (folder / "runs/hmar" / stage / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["step"] == steps


def test_scenes_of_other_classes_are_refused(folder):
    (folder / "other.toml").write_text(HMAR.replace("branch = 1", 'scenes = "wide_single"'))
    with pytest.raises(VarSpacesError, match="do not show the classes and styles of 'var'"):
        train(str(folder / "other.toml"), options(folder, 2))


def test_masked_positions():
    schedule = ScaleSchedule.square((1, 2, 3, 4))
    for rate, counts in ((0.0, (0, 0, 0)), (0.37, (2, 4, 6)), (0.5, (2, 5, 8)), (1.0, (4, 9, 16))):
        masked = masked_positions(schedule, rate, torch.Generator().manual_seed(1))
        parts = masked.split(schedule.lengths[1:])
        assert tuple(int(part.sum()) for part in parts) == counts


def test_unknown_loss_weights():
    with pytest.raises(VarSpacesError, match="uniform, equal or lognorm"):
        position_weights("log", ScaleSchedule.square((1, 2)))


def test_what_a_stage_began_with_is_not_exchanged(folder, monkeypatch):
    """Started afresh, stopped in the first stage and repeated, the second one begins anew, too."""
    config = str(folder / "hmar.toml")
    train(config, options(folder, 3, "again", export=False))
    steps = [
        (folder / "again/hmar" / stage / "checkpoint.pt") for stage in ("next-scale", "masked")
    ]
    step = Trainer._step

    def stop(self):
        logs = step(self)
        self.asked = True
        return logs

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_step", stop)
        fresh = replace(options(folder, 3, "again", export=False), fresh=True)
        assert train(config, fresh) is None
    assert [path.is_file() for path in steps] == [True, False]
    seen = []
    monkeypatch.setattr(Trainer, "_step", lambda self: seen.append(self.folder.name) or step(self))
    train(config, options(folder, 3, "again", export=False))
    assert seen == ["next-scale", "masked"]
