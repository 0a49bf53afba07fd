"""What a run is called, what it may write over, and what it refuses to continue."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.engine.test_trainer import TOKENIZER, options
from var_spaces.errors import VarSpacesError
from var_spaces.training.__main__ import main
from var_spaces.training.engine import trainer
from var_spaces.training.engine.runs import make_plan, train


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "tok.toml").write_text(TOKENIZER)
    return tmp_path


def photos(folder: Path, seed: int, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(100 * seed + i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def config(place: Path) -> str:
    return str(place / "tok.toml")


@pytest.mark.parametrize("name", ["Фото", "照片", "!!!", "tok"])
def test_folders_of_any_name_never_take_the_id_of_the_recipe(place, name):
    """And two folders of one name, or one folder under two recipes, are two models."""
    one = make_plan(config(place), options(place, 1, images=photos(place / "a" / name, 1)))
    two = make_plan(config(place), options(place, 1, images=photos(place / "b" / name, 2)))
    again = make_plan(config(place), options(place, 1, images=place / "a" / name))
    (place / "tok.toml").write_text(TOKENIZER.replace("vocab_size = 32", "vocab_size = 64"))
    other = make_plan(config(place), options(place, 1, images=place / "a" / name))
    ids = [plan.data["id"] for plan in (one, two, other)]
    assert len(set(ids)) == 3
    assert "tok" not in ids
    assert again.data["id"] == one.data["id"]


def test_settings_of_the_command_line_are_another_recipe_and_another_model(place, capsys):
    command = ["tokenizer", "--config", config(place), "--steps", "1", "--device", "cpu", "--quiet"]
    command += ["--runs", str(place / "runs"), "--models", str(place / "models")]
    assert main([*command, "--set", "scenes=wide", "--set", "eval_images=4"]) == 0
    card = json.loads((place / "models/tok-scenes-wide-eval-images-4/card.json").read_text())
    assert card["training"]["recipe"]["recipe"]["scenes"] == "wide"
    assert card["training"]["recipe"]["recipe"]["eval_images"] == 4
    assert main([*command, "--set", "scene=wide"]) == 2
    assert "Did you mean 'scenes'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--set", "scenes"])
    assert "NAME=VALUE" in capsys.readouterr().err


def test_a_checkpoint_of_other_images_is_refused(place, capsys):
    """A second folder under one --name does not go on with the weights of the first."""
    command = ["tokenizer", "--config", config(place), "--steps", "2", "--device", "cpu", "--quiet"]
    command += ["--runs", str(place / "runs"), "--models", str(place / "models")]
    command += ["--name", "mine", "--images"]
    assert main([*command, str(photos(place / "a", 1))]) == 0
    before = (place / "models/mine/card.json").read_text()
    assert main([*command, str(photos(place / "b", 2))]) == 2
    error = capsys.readouterr().err
    assert "of other images" in error
    assert "--fresh" in error
    assert error.count("\n") == 1
    assert (place / "models/mine/card.json").read_text() == before
    assert main([*command, str(place / "b"), "--fresh"]) == 0  # this run made that model


def test_a_model_that_the_run_did_not_make_stays(place):
    train(config(place), options(place, 1, "first"))
    card = (place / "models/tok/card.json").read_text()
    with pytest.raises(VarSpacesError, match="--replace"):
        train(config(place), options(place, 1, "second"))
    assert not (place / "second").exists()  # refused before any work
    assert (place / "models/tok/card.json").read_text() == card
    train(config(place), options(place, 2, "first"))  # its own: longer
    assert json.loads((place / "models/tok/card.json").read_text())["training"]["steps"] == 2
    train(config(place), options(place, 1, "second", replace=True))
    assert json.loads((place / "models/tok/card.json").read_text())["training"]["steps"] == 1
    with pytest.raises(VarSpacesError, match="--replace"):  # it is no longer the first run's
        train(config(place), options(place, 3, "first"))


def test_the_shipped_models_are_no_target(place, capsys):
    root = Path(__file__).parents[3]
    command = ["tokenizer", "--config", "vq-tokenizer", "--steps", "1", "--device", "cpu"]
    command += ["--models", str(root / "assets/models"), "--runs", str(place / "runs")]
    assert main(command) == 2
    assert "did not make" in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_a_changed_recipe_does_not_continue_another_ones_checkpoint(place):
    train(config(place), options(place, 1, export=False))
    (place / "tok.toml").write_text(TOKENIZER.replace('"easy"', '"wide"'))
    with pytest.raises(VarSpacesError, match="another recipe"):
        train(config(place), options(place, 2, export=False))
    rhythm = TOKENIZER.replace("log_every = 1", "log_every = 2")
    (place / "tok.toml").write_text(rhythm)  # how often something is logged is no other recipe
    train(config(place), options(place, 2, export=False))


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_refused_and_kept(place, damage):
    train(config(place), options(place, 1, export=False))
    path = place / "runs/tok/checkpoint.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    left = path.read_bytes()
    with pytest.raises(VarSpacesError, match=r"damaged.*--fresh") as caught:
        train(config(place), options(place, 2, export=False))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == left
    train(config(place), options(place, 2, export=False, fresh=True))
    assert torch.load(path, weights_only=True)["step"] == 2


def test_two_trainings_in_one_folder(place):
    """The second is refused while the first one runs, and not afterwards."""
    with trainer.alone_in(place / "runs/tok"):
        command = [sys.executable, "-m", "var_spaces.training", "tokenizer"]
        command += ["--config", config(place)]
        command += ["--steps", "1", "--device", "cpu", "--runs", str(place / "runs"), "--no-export"]
        done = subprocess.run(
            command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "Another process is training" in done.stderr
        assert done.stderr.count("\n") == 1
    train(config(place), options(place, 1, export=False))


def test_a_full_disk_leaves_the_last_checkpoint(place, monkeypatch):
    train(config(place), options(place, 1, export=False))
    path = place / "runs/tok/checkpoint.pt"
    before = path.read_bytes()

    def full(state: dict, file: Path) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trainer.torch, "save", full)
    with pytest.raises(VarSpacesError, match=r"No space left.*last checkpoint is whole"):
        train(config(place), options(place, 2, export=False))
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.tmp"))
    monkeypatch.undo()
    train(config(place), options(place, 2, export=False))


def test_folders_that_cannot_be_written_are_refused_in_one_line(place):
    (place / "runs").write_text("a file")
    with pytest.raises(VarSpacesError, match="choose another --runs"):
        train(config(place), options(place, 1, export=False))
    (place / "models").write_text("a file")
    with pytest.raises(VarSpacesError, match="could not be written"):
        train(config(place), options(place, 1, "elsewhere"))
    assert (place / "elsewhere/tok/checkpoint.pt").is_file()  # nothing trained is lost
