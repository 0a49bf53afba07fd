"""Training of the control adapter: tiny, on the embedded text model; what it writes can draw."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import var_spaces
from leaderboard.suites.base import get_suite
from var_spaces import cli
from var_spaces.conditioning.packed_encoder import load_minilm
from var_spaces.errors import VarSpacesError
from var_spaces.training.__main__ import main, parser
from var_spaces.training.engine.config import CONFIG_FOLDER, bundled, read_config
from var_spaces.training.engine.models import load
from var_spaces.training.recipes.control import ControlRecipe, ControlTraining
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.places import ASSETS

EMBEDDED = ASSETS / "models"
PICTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


KINDS = ["canny", "palette", "mask"]
BASE = read_config("control-bit")["recipe"]["base"]


def train(root: Path, *arguments: str) -> int:
    bundled = (CONFIG_FOLDER / "control-bit.toml").read_text()
    config = root / "control-bit.toml"
    config.write_text(re.sub("^kinds = .*$", f"kinds = {json.dumps(KINDS)}", bundled, flags=re.M))
    command = ["control", "--config", str(config), "--tiny", "--quiet", "--device", "cpu"]
    folders = ["--models", str(root / "models"), "--runs", str(root / "runs")]
    return main([*command, *folders, *arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder with ``models`` and ``runs``; the base is the embedded one."""
    root = tmp_path_factory.mktemp("trained")
    (root / "models").mkdir()
    for name in (BASE, get_card(BASE).tokenizer):
        (root / "models" / name).symlink_to(EMBEDDED / name)
    assert train(root, "--steps", "2") == 0
    return root


def test_the_folder_holds_the_adapter_alone(trained):
    folder = trained / "models" / "control-bit"
    card = json.loads((folder / "card.json").read_text())
    assert (card["base"], card["adapter"]["name"]) == (BASE, "reference-attention")
    assert "architecture" not in card
    assert card["adapter"]["kinds"] == KINDS
    weights = load_file(folder / "model.safetensors")
    assert not any("backbone" in name for name in weights)
    assert (folder / "model.safetensors").stat().st_size < 1_000_000
    assert f"adapter `reference-attention` of `{BASE}`" in (folder / "README.md").read_text()


def test_only_the_adapter_is_trained(trained):
    checkpoint = torch.load(trained / "runs/control-bit/checkpoint.pt", weights_only=False)
    kept = [name for name in checkpoint["model"] if torch.is_tensor(checkpoint["model"][name])]
    assert kept
    assert all(name.startswith("stream.") for name in kept)
    moved = [
        v
        for k, v in load_file(trained / "models/control-bit/model.safetensors").items()
        if k.startswith("into")
    ]
    assert all(value.abs().sum() > 0 for value in moved)


@pytest.mark.parametrize("sees", ["same", "up-to", "all"])
def test_a_step_of_few_scales_is_the_start_of_a_whole_one(sees):
    """Logits of the first scales, from the maps that such a step gets and from whole ones."""
    config = ControlTraining(kinds=tuple(KINDS), sees=sees, zero_start=False)
    parts = load(EMBEDDED / "bit-tokenizer"), load(EMBEDDED / "t2i-bit"), load_minilm()
    recipe = ControlRecipe(*parts, config, 0, torch.device("cpu"))
    batch = recipe.batch(recipe.scenes, 0, 0, 3)
    seen, bits = recipe.first(batch, 4)
    with torch.no_grad():
        whole = recipe.model(batch)[:, : bits.shape[1]]
        assert torch.allclose(recipe.model(seen), whole, atol=1e-4)


def test_every_kind_is_judged_with_without_and_with_another_map(trained):
    card = json.loads((trained / "models/control-bit/card.json").read_text())
    assert len(card["metrics"]) == 3 * len(KINDS)
    without = [v for name, v in card["metrics"].items() if name.endswith("_without")]
    assert len(set(without)) == 1  # the base model sees no map


def test_it_draws(trained, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(trained / "models"))
    images = [
        var_spaces.generate(model="control-bit", prompt="a red apple", image=PICTURE, control=kind)
        for kind in ("canny", "palette")
    ]
    assert images[0][0].size == (64, 64)
    with pytest.raises(VarSpacesError, match="knows no control 'depth'"):
        var_spaces.generate(model="control-bit", prompt="a", image=PICTURE, control="depth")


def test_commands_of_the_docs(trained, tmp_path, monkeypatch, capsys):
    """docs/control.md, with the adapter of two steps in place of a trained one."""
    monkeypatch.setenv("VAR_SPACES_MODELS", str(trained / "models"))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("house.png")
    (tmp_path / "docs").symlink_to(ASSETS.parent / "docs")
    page = (ASSETS.parent / "docs" / "control.md").read_text("utf-8")
    lines = "".join(re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    programs = {tuple(command[:3]): command[3:] for command in commands}
    assert len(commands) == 7
    for command in commands:
        if command[2] == "var_spaces":
            assert cli.main(command[3:]) == 0, (command, capsys.readouterr().err)
    for command in commands:
        if command[2] == "var_spaces.training":
            assert parser().parse_args(command[3:]).config in bundled()
    suite, model = (programs[("python", "-m", "leaderboard")][at] for at in (2, 4))
    assert get_suite(suite).task == get_card(model).default("task")["name"]


@pytest.mark.parametrize("config", ["control-bit", "control-bit-gpu"])
def test_bundled_recipes_name_what_exists(config):
    data = read_config(config)
    assert data["id"] == "control-bit"
    assert get_card(data["recipe"]["base"]).kind.reads_text
