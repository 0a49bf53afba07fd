"""docs/subjects.md: its commands run, its settings are those that exist."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from leaderboard.subjects import sheet
from var_spaces import cli
from var_spaces.training.__main__ import main, parser
from var_spaces.training.subjects import command

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "subjects.md").read_text("utf-8")


def blocks() -> list[list[str]]:
    found = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


def test_from_pictures_to_a_picture(tmp_path, monkeypatch, capsys):
    """As written, but for the number of iterations."""
    short = replace(command.STARTS["embedded"], steps=1, pool=1)
    monkeypatch.setitem(command.STARTS, "embedded", short)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-pictures").mkdir()
    for number, pixels in enumerate(sheet.subjects()[0].pictures):
        Image.fromarray(pixels).save(tmp_path / "my-pictures" / f"{number}.png")
    train, draw = blocks()[0]
    assert main(shlex.split(train)[3:]) == 0, capsys.readouterr().err
    setting, *words = shlex.split(draw)
    monkeypatch.setenv(*setting.split("="))
    assert cli.main(words[3:]) == 0, capsys.readouterr().err
    assert np.asarray(Image.open("dog.png")).shape == (64, 64, 3)


def test_a_thing_from_one_picture(tmp_path, monkeypatch, capsys):
    ((line,),) = blocks()[1:2]
    monkeypatch.chdir(tmp_path)
    Image.fromarray(sheet.subjects()[0].pictures[0]).save("ref.png")
    assert cli.main(shlex.split(line)[3:]) == 0, capsys.readouterr().err
    assert np.asarray(Image.open("it.png")).shape == (64, 64, 3)


def test_the_adapter_is_trained_by_a_bundled_recipe():
    ((line,),) = blocks()[2:3]
    args = parser().parse_args(shlex.split(line)[3:])
    assert (args.command, args.config) == ("echo", "echo-bit")


def test_the_published_model_is_asked_for_by_commands_that_exist(tmp_path, monkeypatch, capsys):
    """They get as far as a package and weights that are not here."""
    ((package, download, draw),) = blocks()[3:]
    extra = re.fullmatch(r'pip install "var-spaces\[(\w+)\]"', package).group(1)
    assert f"optional-dependencies.{extra}" in (ROOT / "pyproject.toml").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    Image.fromarray(sheet.subjects()[0].pictures[0]).save("ref.png")
    for line in (download, draw):
        assert cli.main(shlex.split(line)[3:]) == 2
        told = capsys.readouterr().err
        assert told.startswith("error: ") and "usage" not in told, told


def test_flags_exist():
    _, _, rest = PAGE.partition("| part |")
    table, _, _ = rest.partition("\n\n")
    flags = set(re.findall(r"--[a-z][a-z-]+", table))
    known = parser()._subparsers._group_actions[0].choices["subject"]._option_string_actions
    assert flags and flags <= set(known)
