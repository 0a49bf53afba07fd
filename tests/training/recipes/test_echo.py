"""The recipe of the subject adapter, from its file to a model folder that draws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from var_spaces.int8_rows import unpacked
from var_spaces.training.__main__ import main
from var_spaces.training.engine.config import read_config
from var_spaces.training.engine.models import load, read_card
from var_spaces.training.engine.plan import Options
from var_spaces.training.engine.runs import make_plan
from var_spaces.training.recipes.echo import EchoRecipe


def test_a_tiny_run(tmp_path, monkeypatch, capsys):
    models = Path("assets/models")
    base = read_config("echo-bit")["recipe"]["base"]
    before = {k: v.clone() for k, v in load(models / base).state_dict().items()}
    given = ["echo", "--config", "echo-bit", "--steps", "2", "--tiny", "--device", "cpu", "--quiet"]
    out = tmp_path / "models"
    out.mkdir()
    for name in (base, read_card(models / base)["tokenizer"]):
        (out / name).symlink_to((models / name).resolve(), target_is_directory=True)
    assert main([*given, "--models", str(out), "--runs", str(tmp_path / "runs")]) == 0
    card = read_card(out / "echo-bit")
    assert (card["base"], card["adapter"]["name"]) == (base, "echo")
    assert {"nats_both", "nats_base", "nats_semantic"} <= set(card["metrics"])
    after = load(models / base).state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    rows = (tmp_path / "runs" / "echo-bit" / "metrics.jsonl").read_text("utf-8").splitlines()
    assert len([row for row in rows if "loss" in json.loads(row)]) == 2


def test_an_adapter_goes_on_from_a_trained_one(tmp_path, capsys):
    models, out = Path("assets/models"), tmp_path / "models"
    out.mkdir()
    base = read_config("echo-bit")["recipe"]["base"]
    for name in (base, read_card(models / base)["tokenizer"], "echo-bit", "control-bit"):
        (out / name).symlink_to((models / name).resolve(), target_is_directory=True)
    given = ["echo", "--config", "echo-bit", "--steps", "1", "--tiny", "--device", "cpu", "--quiet"]
    given += ["--models", str(out), "--runs", str(tmp_path / "runs")]
    assert main([*given, "--name", "on", "--start", "echo-bit"]) == 0
    begun, ended = (weights(out / name) for name in ("echo-bit", "on"))
    assert begun.keys() == ended.keys()
    apart = sum((ended[name] - begun[name]).square().sum() for name in begun)
    assert 0 < apart < 1e-3 * sum(value.square().sum() for value in begun.values())
    assert read_card(out / "on")["training"]["recipe"]["recipe"]["start"] == "echo-bit"
    capsys.readouterr()
    assert main([*given, "--name", "other", "--start", "control-bit"]) == 2
    assert "are of another layout than what is trained" in capsys.readouterr().err
    assert not (out / "other").exists()


def test_stochastic_depth_is_of_training_alone():
    plan = make_plan("echo-bit", Options(device="cpu", tiny=True))
    recipe, losses = EchoRecipe.build(plan), []
    for rate in (0.5, 0.5, 0.0):
        recipe.config = replace(recipe.config, drop_path=rate)
        with torch.no_grad():
            losses.append(recipe.loss(recipe.model.train(), 0, 0, 2)[0])
    assert torch.equal(losses[0], losses[1]) and not torch.equal(losses[0], losses[2])
    with torch.no_grad():
        batch = recipe.batch(recipe.pairs, 0, 0, 1)
        assert torch.equal(recipe.model(batch), recipe.model(batch))  # as evaluations ask


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = {k: v for f in sorted(folder.glob("*.safetensors")) for k, v in load_file(f).items()}
    return {name: value.float() for name, value in unpacked(state).items()}
