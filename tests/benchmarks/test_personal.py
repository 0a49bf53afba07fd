"""The benchmarks of subjects and of styles from end to end on tiny models, and continued."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaderboard.suites.base import get_suite
from leaderboard.suites.embedded_subject import EmbeddedSubject
from tests.adapters.test_echo import base, echo_model, models  # noqa: F401  fixtures

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(name, *flags)``: the numbers and the page that a benchmark wrote."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import report

    monkeypatch.setattr(report, "FOLDER", tmp_path / "results")

    def run(name: str, *flags: str) -> tuple[dict, str]:
        model = [] if name == "subject_strengths" else ["--base", "tiny-t2i"]
        given = [name, *model, "--cells", str(tmp_path / "cells"), *flags]
        monkeypatch.setattr(sys, "argv", given)
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
        folder = tmp_path / "results"
        numbers = json.loads((folder / f"{name}.json").read_text("utf-8"))
        return numbers["results"], (folder / f"{name}.md").read_text("utf-8")

    return run


@pytest.fixture
def short_prompts(monkeypatch):
    """Those that the tiny model can read."""
    found = [i for i in get_suite("embedded-subject").items() if " and " not in i.facts["caption"]]
    monkeypatch.setattr(EmbeddedSubject, "items", lambda self: found)


@pytest.mark.usefixtures("short_prompts")
def test_subjects_with_rows_of_echogen_where_it_is_there(run, echo_model):  # noqa: F811
    flags = ["--subjects", "1", "--steps", "1", "--cases", "no subject", "LoRA"]
    found, page = run("subjects", *flags, "content only", "--echo", echo_model)
    assert list(found["means"]) == ["no subject", "LoRA", "content only"]
    scores = found["means"]["content only"]
    assert scores != found["means"]["no subject"]
    assert all(np.isfinite(list(row.values())).all() for row in found["means"].values())
    _, page = run("subjects", *flags, "--echo", "not-here")
    assert "EchoGen has no rows here: not-here was not among the models" in page


@pytest.mark.usefixtures("short_prompts")
def test_strengths_of_words_and_picture(run, echo_model):  # noqa: F811
    found, page = run("subject_strengths", "--subjects", "1", "--echo", echo_model)
    assert list(found["means"]) == ["0.0", "1.0", "2.5", "4.0", "5.0"]
    likeness = [scores["subject-clip-i"] for scores in found["means"].values()]
    assert np.isfinite(likeness).all() and len(set(likeness)) > 1
    assert "| 5 | 0 | " in page and "| 0 | 5 | " in page and "of 1 |" in page


@pytest.mark.usefixtures("base")
def test_styles_are_continued(run, tmp_path, capsys):
    flags = ["--pictures", "2", "--steps", "2", "--cases", "full", "words only"]
    with pytest.raises(SystemExit, match="0 of 4 cells: run it again"):
        run("styles", *flags, "--minutes", "-1")
    found, page = run("styles", *flags)
    assert len(found["cells"]) == 4
    assert set(found["means"]) == {"full", "words only"}
    mean, low, high = found["means"]["full"]["CLIP-I ↑"]
    assert low <= mean <= high
    assert "| words only | " in page and "paired by picture" in page
    capsys.readouterr()
    again, _ = run("styles", *flags)
    assert again == found and not capsys.readouterr().out  # nothing is measured twice
    sheet = Image.open(tmp_path / "results" / "styles.png")
    assert sheet.size == (64 * 10, 64 * 2)
