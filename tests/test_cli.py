"""The command line: what it prints and writes, and how it refuses."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from var_spaces import methods
from var_spaces.cli import main
from var_spaces.cli.arguments import Parser, add_method_flags
from var_spaces.cli.generate import PREFIXES, grid
from var_spaces.record import RunRecord
from var_spaces.spec import RunSpec

pytestmark = pytest.mark.usefixtures("use_tiny_models")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit code, standard output, standard error."""

    def call(*arguments) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def refused(run):
    """Run a command that must be refused with one line; returns that line."""

    def call(*arguments) -> str:
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert len(err) < 500
        return err

    return call


def generate(out, *arguments):
    return ("generate", "--model", "tiny-var", "--class", "key", "--out", out, *arguments)


# --- listing ------------------------------------------------------------------------------------


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in ("models", "methods", "generate", "show"))
    assert run()[1] == out


def test_version(run):
    assert run("--version")[1].startswith("0.")


@pytest.mark.parametrize("command", ["models", "methods", "generate", "show"])
def test_help_of_commands(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"python -m var_spaces {command}" in capsys.readouterr().out


def test_models(run):
    code, out, _ = run("models")
    assert code == 0
    assert out.splitlines()[0].split() == ["MODEL", "ROLE", "FAMILY", "CLASSES", "STYLES", "TITLE"]
    assert ["tiny-var", "generator", "var", "3", "2"] in [
        line.split()[:5] for line in out.splitlines()
    ]
    cards = {card["id"]: card for card in json.loads(run("models", "--json")[1])}
    assert cards["tiny-var"]["classes"] == ["red apple", "key", "banana"]


def test_models_names_a_broken_card(run, tmp_path, monkeypatch):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "card.json").write_text("{")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path))
    code, _, err = run("models")
    assert code == 0
    assert err.startswith("warning: ")
    assert "card.json" in err


def test_methods(run):
    _, out, _ = run("methods")
    assert ["cache", "full"] in [line.split()[:2] for line in out.splitlines()]
    listed = json.loads(run("methods", "--json")[1])
    assert {entry["kind"] for entry in listed} == set(methods.kinds())
    _, out, _ = run("methods", "sampling")
    assert ["top-k-top-p", "top_k", "int", "900"] in [line.split()[:4] for line in out.splitlines()]
    described = json.loads(run("methods", "sampling", "--json")[1])
    assert described[0]["parameters"]["top_k"]["default"] == 900


# --- generate and show ----------------------------------------------------------------------------


def test_equal_seeds_give_equal_bytes(run, tmp_path):
    code, out, err = run(*generate(tmp_path / "a.png", "--seed", 3))
    assert (code, err) == (0, "")
    assert "1 x tiny-var" in out
    run(*generate(tmp_path / "b.png", "--seed", 3))
    run(*generate(tmp_path / "c.png", "--seed", 4))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]
    assert Image.open(tmp_path / "a.png").size == (16, 16)


def test_another_process_gives_the_same_bytes(run, tmp_path, tiny_models):
    run(*generate(tmp_path / "a.png"))
    command = [sys.executable, "-m", "var_spaces", *map(str, generate(tmp_path / "b.png"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_show_prints_the_spec_and_generate_takes_it_back(run, tmp_path):
    first, again, json_file = (tmp_path / name for name in ("a.png", "b.png", "a.json"))
    flags = ("--seed", 5, "--n", 2, "--style", "soft", "--top-k", 8, "--guidance-scale", 2)
    run(*generate(first, *flags))
    _, shown, _ = run("show", first)
    spec = RunSpec.from_json(shown)
    assert (spec.seed, spec.count, spec.sampling["top_k"], spec.guidance["scale"]) == (5, 2, 8, 2.0)
    assert spec.inputs == {"class": "key", "style": "soft"}
    assert run("show", first, "--id")[1].strip() == spec.id
    assert RunSpec.from_link(run("show", first, "--link")[1].strip()) == spec
    json_file.write_text(shown)
    for source in (first, json_file):
        assert run("generate", "--spec", source, "--out", again)[0] == 0
        assert again.read_bytes() == first.read_bytes()


def test_flags_change_what_a_spec_says(run, tmp_path):
    run(*generate(tmp_path / "a.png", "--seed", 5, "--top-k", 8))
    run("generate", "--spec", tmp_path / "a.png", "--top-p", "0.5", "--out", tmp_path / "b.png")
    spec = RunSpec.read_png(tmp_path / "b.png")
    assert (spec.seed, spec.sampling["top_k"], spec.sampling["top_p"]) == (5, 8, 0.5)
    assert spec.inputs["class"] == "key"


def test_defaults_come_from_the_card(run, tmp_path):
    run(*generate(tmp_path / "a.png"))
    assert RunSpec.read_png(tmp_path / "a.png").sampling["top_k"] == 16


def test_class_by_number_is_stored_by_name(run, tmp_path):
    run("generate", "--model", "tiny-var", "--class", 0, "--out", tmp_path / "a.png")
    assert RunSpec.read_png(tmp_path / "a.png").inputs["class"] == "red apple"


def test_several_images_make_one_grid(run, tmp_path):
    run(*generate(tmp_path / "a.png", "--n", 3))
    run(*generate(tmp_path / "b.png", "--first", 2))
    sheet, third = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    assert sheet.shape == (32, 32, 3)
    assert (sheet[16:, :16] == third).all()
    assert (sheet[16:, 16:] == 255).all()


def test_upscaled_crisply(run, tmp_path):
    run(*generate(tmp_path / "a.png"))
    run(*generate(tmp_path / "b.png", "--scale", 4))
    small, large = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    assert (large == small.repeat(4, 0).repeat(4, 1)).all()


def test_json_prints_the_record(run, tmp_path):
    _, out, _ = run(*generate(tmp_path / "a.png", "--json", "--n", 2))
    record = RunRecord.from_json(out)
    assert record.spec == RunSpec.read_png(tmp_path / "a.png")
    assert [row.tokens for row in record.scales] == [1, 4, 16]
    assert len(record.image_sha256) == 2


def test_progress_only_on_a_terminal(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, _, err = run(*generate(tmp_path / "a.png"))
    assert "scale 3/3  4x4 tokens" in err


def test_grid_shapes():
    images = [np.full((2, 3, 3), i, np.uint8) for i in range(5)]
    assert grid(images[:1]).shape == (2, 3, 3)
    assert grid(images[:2]).shape == (2, 6, 3)
    assert grid(images).shape == (4, 9, 3)


# --- refusals -----------------------------------------------------------------------------------


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
        (["--spec", "none.json"], ["Cannot read none.json"]),
        (["extra"], ["unknown argument 'extra'"]),
    ],
)
def test_bad_flags(refused, tmp_path, flags, parts):
    message = refused(*generate(tmp_path / "a.png", *flags))
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_bad_places(refused, tmp_path):
    assert "must end in .png" in refused(*generate(tmp_path / "a.jpg"))
    assert "cannot be written" in refused(*generate(tmp_path / "no" / "a.png"))
    (tmp_path / "b.png").mkdir()
    assert "cannot be written" in refused(*generate(tmp_path / "b.png"))
    assert "required: --out" in refused("generate", "--model", "tiny-var")
    assert "'model' is missing" in refused("generate", "--out", tmp_path / "a.png")


def test_bad_commands(refused):
    assert "Did you mean 'models'?" in refused("modles")
    assert "Did you mean 'cache'?" in refused("methods", "cach")
    assert "unknown argument '--jsn'" in refused("models", "--jsn")
    assert "required: FILE.png" in refused("show")


def test_bad_spec_files(refused, run, tmp_path):
    out, png, bad = tmp_path / "out.png", tmp_path / "a.png", tmp_path / "bad.json"
    run(*generate(png))
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


def test_an_old_picture_survives_a_refusal(refused, run, tmp_path):
    path = tmp_path / "a.png"
    run(*generate(path))
    before = path.read_bytes()
    refused(*generate(path, "--class", "nothing like it"))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_interrupted_runs_write_nothing(tmp_path, monkeypatch, capsys):
    def stop(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("var_spaces.api.stream", stop)
    assert main([str(a) for a in generate(tmp_path / "a.png")]) == 130
    assert capsys.readouterr().err == "stopped\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", list(PREFIXES))
def test_every_method_has_flags_that_clash_with_none(kind):
    """A new method whose field cannot be a flag, or takes another's name, fails here."""
    for name in methods.names(kind):
        parser = Parser("generate", "")
        for flag in ("spec", "model", "seed", "n", "first", "schedule", "out", "scale", "json"):
            parser.add_argument(f"--{flag}")
        for other, prefix in PREFIXES.items():
            parser.add_argument(f"--{other}")
            chosen = name if other == kind else RunSpec.model_fields[other].default
            chosen = chosen if isinstance(chosen, str) else chosen["name"]
            add_method_flags(parser, methods.get(other, chosen), prefix)
        assert parser.format_help()
