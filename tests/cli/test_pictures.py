"""Tasks with pictures on the command line: files in, content hashes in the spec."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import var_spaces
from var_spaces.methods import get
from var_spaces.pictures import digest
from var_spaces.spec import RunSpec

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
REGION = np.zeros((16, 16), np.uint8)
REGION[:, 8:] = 255


@pytest.fixture
def files(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "source.png")
    Image.fromarray(REGION).save(tmp_path / "mask.png")
    return tmp_path


def edit(files, *more, task="edit"):
    picture = ("--picture", files / "source.png")
    return ("generate", "--model", "tiny-var", "--task", task, *picture, *more, "--out")


def test_an_edit_is_that_of_the_library(run, files):
    out = files / "out.png"
    code, said, err = run(*edit(files, "--mask", files / "mask.png", "--seed", 3), out)
    assert (code, err) == (0, "") and "1 x tiny-var" in said
    spec = RunSpec.read_png(out)
    assert (spec.inputs["source"], spec.inputs["mask"]) == (digest(PIXELS), digest(REGION))
    settings = {"model": "tiny-var", "task": "edit", "seed": 3, "mask": REGION}
    for image in (PIXELS, files / "source.png", (files / "source.png").read_bytes()):
        drawn = var_spaces.generate(image=image, **settings)[0]
        assert (np.asarray(drawn) == np.asarray(Image.open(out))).all()
    again = files / "again.png"
    handed = ("--picture", files / "source.png", "--mask", files / "mask.png")
    assert run("generate", "--spec", out, *handed, "--out", again)[0] == 0
    assert again.read_bytes() == out.read_bytes()


def test_refinement_and_the_name_of_the_field(run, files):
    assert run(*edit(files, "--keep", 1, task="refine"), files / "a.png")[0] == 0
    flags = ("--task", "refine", "--source", files / "source.png", "--keep", 1)
    assert run("generate", "--model", "tiny-var", *flags, "--out", files / "b.png")[0] == 0
    assert (files / "a.png").read_bytes() == (files / "b.png").read_bytes()


def test_bad_pictures_are_refused_before_work(refused, run, files):
    out = files / "out.png"
    assert "(--picture FILE)" in refused(
        "generate", "--model", "tiny-var", "--task", "edit", "--out", out
    )
    assert "The mask cannot be read" in refused(*edit(files, "--mask", files / "none.png"), out)
    (files / "words.png").write_text("words")
    assert "The mask cannot be used: not an image" in refused(
        *edit(files, "--mask", files / "words.png"), out
    )
    Image.fromarray(REGION * 0).save(files / "dark.png")
    assert "The mask marks no region" in refused(*edit(files, "--mask", files / "dark.png"), out)
    assert "unknown argument '--picture'" in refused(
        "generate", "--model", "tiny-var", "--picture", files / "source.png", "--out", out
    )
    assert run(*edit(files, "--mask", files / "mask.png"), out)[0] == 0
    assert "is missing: hand it in" in refused("generate", "--spec", out, "--out", files / "b.png")
    assert not (files / "b.png").exists()


def test_help_asks_for_files(run, capsys):
    with pytest.raises(SystemExit):
        run("generate", "--task", "edit", "--help")
    shown = capsys.readouterr().out
    assert "--picture FILE, --source FILE" in shown and "--mask FILE" in shown


def test_pictures_of_a_task_are_listed_by_field():
    assert get("task", "edit").picture_fields() == {"source": "picture", "mask": "mask"}
    assert get("task", "refine").picture_fields() == {"source": "picture"}
    assert get("task", "generate").picture_fields() == {}
