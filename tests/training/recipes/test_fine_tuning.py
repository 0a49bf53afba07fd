"""Recipes that continue from trained transformers: supernet, drafter, refiner."""

from __future__ import annotations

import json

import pytest
import torch

from tests.training.engine.test_trainer import TOKENIZER, TRANSFORMER, options
from var_spaces.errors import VarSpacesError
from var_spaces.training.engine.config import build
from var_spaces.training.engine.models import load
from var_spaces.training.engine.runs import train
from var_spaces.training.recipes.collaborative import (
    DrafterRecipe,
    RefinerRecipe,
    SpecialistConfig,
    kl_divergence,
)
from var_spaces.training.recipes.supernet import SupernetConfig, SupernetRecipe, sub_network_share

SUPERNET = """
kind = "supernet"
id = "net"
[recipe]
tokenizer = "tok"
start = "var"
bridge = 1
depths = [2]
eval_images = 4
[train]
batch_size = 4
log_every = 1
"""
SPECIALIST = SUPERNET.replace("bridge = 1\ndepths = [2]", "drafted = 2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an untrained tokenizer and a transformer of three blocks."""
    root = tmp_path_factory.mktemp("fine")
    (root / "tok.toml").write_text(TOKENIZER)
    (root / "var.toml").write_text(TRANSFORMER.replace("depth = 2", "depth = 3"))
    train(str(root / "tok.toml"), options(root, 1))
    train(str(root / "var.toml"), options(root, 1))
    return root


def recipe(folder, kind, settings):
    tokenizer = load(folder / "models" / "tok")
    start = load(folder / "models" / "var").requires_grad_(True)
    return kind(tokenizer, settings, 0, torch.device("cpu"), start)


def test_supernet_trains_and_is_exported(folder):
    (folder / "net.toml").write_text(SUPERNET)
    metrics = train(str(folder / "net.toml"), options(folder, 2))
    assert {"nats_trained_pairs", "nats_depth_2"} <= metrics.keys()
    card = json.loads((folder / "models/net/card.json").read_text())
    assert (card["family"], card["role"]) == ("var", "generator")
    assert card["architecture"]["depth"] == 3
    rows = [json.loads(x) for x in (folder / "runs/net/metrics.jsonl").read_text().splitlines()]
    assert all(row["share"] == 0.2 for row in rows if "share" in row and row["step"] == 1)


def test_a_constant_share_of_sub_networks_is_another_model(folder):
    (folder / "net.toml").write_text(SUPERNET)
    train(str(folder / "net.toml"), options(folder, 1, ratio=1.0))
    rows = (folder / "runs/net-p100/metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["share"] == 1.0
    card = json.loads((folder / "models/net-p100/card.json").read_text())
    assert card["training"]["recipe"]["recipe"]["ratio"] == 1.0
    assert card["title"] == "net, 100% sub-networks"


def test_a_sub_network_iteration_leaves_skipped_blocks_to_the_bridge(folder):
    settings = SupernetConfig(tokenizer="tok", bridge=1, depths=(2,), ratio=1.0)
    net = recipe(folder, SupernetRecipe, settings)
    net.before_step(0, 0.0, None)
    loss, logs = net.loss(net.model, 0, 0, 2)
    assert logs == {"depth": 2, "share": 1.0}
    loss.backward()
    assert all(p.grad is not None for p in net.model.blocks[1].parameters())  # by the first scale
    late = net.model.schedule.offsets[1]
    *_, ids, tokens = net.training_batch(0, 2)
    assert (ids.shape[1], tokens.shape[1]) == (net.model.schedule.total, ids.shape[1] - late)


def test_share_of_sub_networks():
    shares = [sub_network_share(at / 100, 0.2, 0.8) for at in range(101)]
    assert shares[0] == shares[19] == 0.2
    assert shares[50] == pytest.approx(0.6)
    assert shares[80] == shares[100] == 1.0
    fixed = SupernetConfig(ratio=0.5)
    net = SupernetRecipe.__new__(SupernetRecipe)
    net.config, net.seed = fixed, 0
    net.before_step(3, 0.9, None)
    depths = [net.depth_of(step) for step in range(2000)]
    assert sum(d is None for d in depths) / 2000 == pytest.approx(0.5, abs=0.04)
    assert {*depths} == {None, *fixed.depths}
    assert depths == [net.depth_of(step) for step in range(2000)]


def test_drafter_and_refiner_train(folder):
    (folder / "draft.toml").write_text(
        SPECIALIST.replace('"supernet"', '"drafter"').replace('"net"', '"draft"')
    )
    (folder / "refine.toml").write_text(
        SPECIALIST.replace('"supernet"', '"refiner"')
        .replace('"net"', '"refine"')
        .replace('start = "var"', 'start = "var"\nteacher = "var"')
    )
    for name in ("draft", "refine"):
        metrics = train(str(folder / f"{name}.toml"), options(folder, 1, export=False))
        assert metrics["nats_own_scales"] > 0


def test_a_drafter_learns_its_scales_only(folder):
    settings = SpecialistConfig(tokenizer="tok", drafted=2)
    drafter = recipe(folder, DrafterRecipe, settings)
    drafter.loss(drafter.model, 0, 0, 2)[0].backward()
    places = drafter.model.pos_1LC.grad[0].abs().sum(1)
    end = drafter.model.schedule.offsets[2]
    assert (places[:end] > 0).all()
    assert (places[end:] == 0).all()
    teacher = load(folder / "models" / "var")
    same = lambda *args: RefinerRecipe(*args, teacher=teacher)  # noqa: E731
    refiner = recipe(folder, same, settings)
    refiner.before_step(0, 1.0, None)
    loss, logs = refiner.loss(refiner.model, 0, 0, 2)
    assert logs == {"weight": 0.0}
    assert loss.item() == pytest.approx(0, abs=1e-5)  # it starts as its own teacher


def test_kl_divergence():
    teacher, student = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    p, q = teacher.softmax(-1), student.softmax(-1)
    torch.testing.assert_close(kl_divergence(teacher, student), (p * (p / q).log()).sum(-1))
    assert kl_divergence(teacher, teacher).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bridge": 3}, "take 1 to 2"),
        ({"depths": [4]}, "take 2 to 3"),
        ({"ratio": 1.5, "bridge": 1}, "is 0 to 1"),
        ({"ratio": -0.5, "bridge": 1}, "is 0 to 1"),
    ],
)
def test_refusals(folder, settings, message):
    with pytest.raises(VarSpacesError, match=message):
        recipe(folder, SupernetRecipe, build(SupernetConfig, {"tokenizer": "tok", **settings}, ""))
