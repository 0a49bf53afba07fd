"""docs/style.md: its commands run as written."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaderboard.cli import main as leaderboard
from leaderboard.store import open_store
from leaderboard.styles import sheet
from leaderboard.suites import embedded_style
from leaderboard.suites.style_items import items
from var_spaces import cli
from var_spaces.training.__main__ import main as training
from var_spaces.training.styles import command

PAGE = (Path(__file__).parents[1] / "docs" / "style.md").read_text("utf-8")
PROGRAMS = {"var_spaces.training": training, "var_spaces": cli.main, "leaderboard": leaderboard}


@pytest.fixture(autouse=True)
def short(tmp_path, monkeypatch):
    """One update instead of 200, and one picture of the suite instead of 24."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(command.STARTS, "embedded", replace(command.STARTS["embedded"], steps=1))
    one = sheet.pictures()[0]
    few = items("embedded", [(one, [embedded_style.prompts(one)[i] for i in (0, 5, -1)])])
    monkeypatch.setattr(embedded_style.EmbeddedStyle, "items", lambda self: few)
    Image.fromarray(one.pixels).save("owl.png")


@pytest.fixture
def run(monkeypatch, capsys):
    """``run(n)``: the lines of the n-th block of commands, one after the other."""

    def run(number: int) -> None:
        block = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]
        for line in block.splitlines():
            with monkeypatch.context() as patch:
                *settings, program = line.split("python -m ")
                for setting in settings[0].split():
                    patch.setenv(*setting.split("="))
                name, *arguments = shlex.split(program)
                assert PROGRAMS[name](arguments) in (0, None), capsys.readouterr().err

    return run


def test_from_a_picture_to_pictures(run):
    run(0)
    for name in ("flat.png", "car.png"):
        assert np.asarray(Image.open(name)).shape == (64, 64, 3)


def test_from_a_suite_to_its_rows(run):
    run(1)
    rows = list(open_store().rows())
    assert {row["model"] for row in rows} == {"csd-var", "t2i-bit"}
    assert len({row["protocol"] for row in rows}) == 1
