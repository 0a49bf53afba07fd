"""Bad input gives one ``error:`` line, exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import io
import json
import os
import shutil

import pytest
from PIL import Image

from var_spaces.cli import main


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--model", "tiny-va"], ["Unknown model 'tiny-va'", "Did you mean 'tiny-var'?"]),
        (["--model", "tiny-tokenizer"], ["is a tokenizer"]),
        (["--class", "keys"], ["keys", "Did you mean 'key'?"]),
        (["--class", "99"], ["99"]),
        (["--style", "harsh"], ["harsh"]),
        (["--seed", "-1"], ["seed = -1", "0 to 9223372036854775807"]),
        (["--seed", str(2**63)], ["seed = 9223372036854775808"]),
        (["--seed", "x"], ["--seed", "'x'"]),
        (["--seed", "9" * 5000], ["--seed"]),
        (["--n", "0"], ["count = 0", "1 to 64"]),
        (["--n", "65"], ["count = 65"]),
        (["--top-k", "-1"], ["top_k = -1", "out of range"]),
        (["--top-p", "nan"], ["top_p = nan"]),
        (["--topk", "3"], ["unknown argument '--topk'", "Did you mean '--top-k'?"]),
        (["--cache", "ful"], ["Unknown cache 'ful'", "Did you mean 'full'?"]),
        (["--decoding", "x\ny"], ["Unknown decoding"]),
        (["--schedule", "1,2"], ["schedule"]),
        (["--schedule", "1,b"], ["--schedule"]),
        (["--schedule", "1x2x3"], ["--schedule"]),
        (["--scale", "0"], ["--scale 0", "1 to 64"]),
        (["--n", "64", "--scale", "65"], ["--scale 65", "1 to 64"]),
        (["--spec", "none.json"], ["Cannot read none.json"]),
        (["extra"], ["unknown argument 'extra'"]),
    ],
)
def test_bad_flags(key_command, refused, tmp_path, flags, parts):
    message = refused(*key_command(tmp_path / "a.png", *flags))
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_bad_places(key_command, refused, tmp_path):
    assert "must end in .png" in refused(*key_command(tmp_path / "a.jpg"))
    assert "cannot be written" in refused(*key_command(tmp_path / "no" / "a.png"))
    (tmp_path / "b.png").mkdir()
    assert "cannot be written" in refused(*key_command(tmp_path / "b.png"))
    assert "cannot be written" in refused(*key_command(tmp_path / f"{'n' * 300}.png"))
    both = key_command(tmp_path / "a.png", "--kept", tmp_path / "x" / ".." / "a.png")
    (tmp_path / "x").mkdir()
    assert "is where --out goes" in refused(*both)
    assert "required: --out" in refused("generate", "--model", "tiny-var")
    assert "'model' is missing" in refused("generate", "--out", tmp_path / "a.png")


def test_names_that_no_file_can_have(refused, tmp_path):
    """Wherever a path is looked at, what the system says of it is the refusal."""
    assert "File name too long" in refused("add", "n" * 300)


def test_too_large_a_picture(refused, key_command, tmp_path, monkeypatch):
    monkeypatch.setattr("var_spaces.cli.generate.MAX_SIDE", 127)
    message = refused(*key_command(tmp_path / "a.png", "--n", 3, "--scale", 4))
    assert "128 pixels wide, allowed are 127" in message
    assert list(tmp_path.iterdir()) == []


def test_bad_commands(refused):
    assert "Did you mean 'models'?" in refused("modles")
    assert "Did you mean 'cache'?" in refused("methods", "cach")
    assert "unknown argument '--jsn'" in refused("models", "--jsn")
    assert "required: FILE.png" in refused("show")


def test_bad_spec_files(key_command, refused, run, tmp_path):
    out, png, bad = tmp_path / "out.png", tmp_path / "a.png", tmp_path / "bad.json"
    run(*key_command(png))
    bad.write_text('{"model":"tiny-var","sed":3}')
    assert "Did you mean 'seed'?" in refused("generate", "--spec", bad, "--out", out)
    bad.write_text("[" * 1000)
    assert "nested deeper" in refused("generate", "--spec", bad, "--out", out)
    cut = tmp_path / "cut.png"
    cut.write_bytes(png.read_bytes()[:-20])
    assert "cut" in refused("generate", "--spec", cut, "--out", out)
    assert "cut" in refused("show", cut)
    plain = io.BytesIO()
    Image.new("RGB", (2, 2)).save(plain, "PNG")
    cut.write_bytes(plain.getvalue())
    assert "holds no run spec" in refused("show", cut)
    assert "Cannot read" in refused("show", tmp_path / "none.png")
    assert not out.exists()


def test_corrupt_weights(refused, tmp_path, tiny_models, monkeypatch):
    models, out = tmp_path / "models", tmp_path / "out.png"
    shutil.copytree(tiny_models, models)
    shutil.move(models / "tiny-var", models / "broken")
    card = json.loads((models / "broken" / "card.json").read_text())
    (models / "broken" / "card.json").write_text(json.dumps({**card, "id": "broken"}))
    weights = models / "broken" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    monkeypatch.setenv("VAR_SPACES_MODELS", str(models))
    assert "weights of 'broken'" in refused("generate", "--model", "broken", "--out", out)
    assert not out.exists()


def test_an_old_picture_survives_a_refusal(key_command, refused, run, tmp_path):
    path = tmp_path / "a.png"
    run(*key_command(path))
    before = path.read_bytes()
    refused(*key_command(path, "--class", "nothing like it"))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_interrupted_runs_write_nothing(key_command, tmp_path, monkeypatch, capsys):
    def stop(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("var_spaces.api.stream", stop)
    assert main([str(a) for a in key_command(tmp_path / "a.png")]) == 130
    assert capsys.readouterr().err == "stopped\n"
    assert list(tmp_path.iterdir()) == []
