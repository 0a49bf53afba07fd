"""What a visitor takes home: files, and the command line of a run."""

from __future__ import annotations

import json
import shlex
import zipfile

import pytest

from var_spaces import RunSpec, cli
from var_spaces.api import image_spec
from var_spaces.cli import generate
from var_spaces.tasks.plan import plan
from var_spaces.ui.form.form import Form
from var_spaces.ui.run import handlers
from var_spaces.ui.run.command import command, stem
from var_spaces.ui.run.downloads import files
from var_spaces.zoo.cards import get_card

FORM = Form("generate")
pytestmark = pytest.mark.usefixtures("models")
SPECS = [
    {},
    {"seed": 2**63 - 1, "count": 3, "first": 7},
    {"inputs": {"class": "dog"}},
    {"sampling": {"name": "top-k-top-p", "top_k": 3, "smooth": True}},
    {"guidance": {"name": "per-scale", "scale": [0.5]}},
    {"guidance": {"name": "linear", "scale": 0}},
    {"guidance": {"name": "layers", "layers": []}},
    {"sampling": {"name": "flexvar", "drawn": []}},
    {"decoding": {"name": "collaborative", "refiner": "tiny-styled", "drafted": 2}},
]


def make(**changes) -> RunSpec:
    base = FORM.spec(FORM.defaults(get_card("tiny-styled")))
    return plan(base.replace(**changes)).spec


def finished(spec: RunSpec):
    return list(handlers.run(FORM, FORM.values(spec)))[-1]


@pytest.mark.parametrize("changes", SPECS)
def test_the_command_line_repeats_the_run(changes, tmp_path, monkeypatch, capsys):
    spec = make(**changes)
    words = shlex.split(command(spec, get_card(spec.model)))
    assert words[:4] == ["python", "-m", "var_spaces", "generate"]
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words[3:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == spec.id


def test_the_command_says_no_more_than_needed():
    assert command(make(), get_card("tiny-styled")) == (
        "python -m var_spaces generate --model tiny-styled --class ant --style soft --seed 0 "
        "--out ant-soft-0.png"
    )


def test_the_command_says_nothing_of_lists_that_are_as_ever():
    spec = make(decoding={"name": "collaborative", "refiner": "tiny-styled", "drafted": 2})
    assert "--decoding-refiner tiny-styled --decoding-drafted 2 --out" in command(
        spec, get_card(spec.model)
    )


def test_a_value_that_looks_like_a_flag_is_none():
    guidance = {"name": "layers", "layers": [-2, -1]}
    spec = RunSpec(model="tiny-styled", task="style", inputs={"prompt": "--seed"})
    words = shlex.split(command(spec.replace(guidance=guidance), get_card("tiny-styled")))
    assert "--prompt=--seed" in words
    assert "--guidance-layers=-2,-1" in words
    assert generate._spec(*asked(words[4:]))[0].inputs["prompt"] == "--seed"


def test_the_command_names_token_maps_of_the_runs_own():
    spec = RunSpec(model="tiny-styled", schedule=[(1, 1), (2, 3)])
    words = shlex.split(command(spec, get_card("tiny-styled")))
    assert generate._spec(*asked(words[4:]))[0].schedule == spec.schedule


def asked(words: list[str]) -> tuple[dict, dict]:
    """What the command line reads from words."""
    base = generate._base(words)
    return base, generate._parser(base).read(words)


def test_a_download_is_what_the_command_line_writes(tmp_path, monkeypatch):
    view = finished(make(seed=3))
    monkeypatch.chdir(tmp_path)
    assert cli.main(shlex.split(command(view.spec, get_card(view.spec.model)))[3:]) == 0
    with files(view) as (plain, large):
        assert plain.read_bytes() == (tmp_path / plain.name).read_bytes()
        assert RunSpec.read_png(large) == view.spec
        assert large.name == "ant-soft-3-large.png"
    assert not plain.exists()
    assert not plain.parent.exists()


def test_several_pictures_come_as_zip_and_each_carries_its_own_spec():
    view = finished(make(count=3, first=2))
    with files(view) as paths:
        for path in paths:
            with zipfile.ZipFile(path) as archive:
                found = [RunSpec.read_png(archive.read(name)) for name in archive.namelist()]
            assert found == [image_spec(view.spec, i) for i in range(3)]
            assert [spec.first for spec in found] == [2, 3, 4]


def test_unfinished_runs_have_no_files():
    view = next(handlers.run(FORM, FORM.values(make())))
    with files(view) as paths:
        assert paths is None


def test_file_names_are_safe():
    spec = RunSpec(model="m", inputs={"class": "../../Ä <b>&\0", "style": "CON"}, seed=1)
    assert stem(spec) == "b-con-1"
    assert stem(RunSpec(model="m", inputs={"class": "x" * 500}, seed=12)) == "x" * 78 + "-12"
    assert stem(RunSpec(model="m", inputs={"class": "猫"}, seed=3)) == "picture-3"
