"""A folder of pictures and a word become a model: the command line as people use it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.infinity import write_models
from var_spaces import cli
from var_spaces.training.__main__ import main
from var_spaces.training.subjects.command import read_pictures, settings_of
from var_spaces.training.subjects.settings import PUBLISHED


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Pictures of something, and an empty folder for models beside the tiny ones."""
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path / 'own'}:{write_models(tmp_path / 'm')}")
    (tmp_path / "own").mkdir()
    random = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number, size in enumerate([(20, 30), (16, 16)]):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path


def command(folders, *more: str, out: str = "my-dog") -> list[str]:
    found = ["subject", "--pictures", str(folders / "pictures"), "--word", "dog"]
    found += ["--base", "tiny-t2i", "--out", str(folders / "own" / out), "--device", "cpu"]
    return [*found, "--steps", "2", "--pool", "2", *more]


def test_from_pictures_to_a_picture(folders, capsys):
    assert main(command(folders)) == 0
    said = capsys.readouterr().out
    assert "left out notes.txt: not an image by its name: .txt" in said
    assert "2 of 2  subject" in said
    assert "generate --model my-dog" in said
    assert cli.main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "my-dog" in listed and "subject on tiny-t2i" in listed
    for name, prompt in (("it", "a photo of <it>"), ("class", "a photo of dog")):
        out = str(folders / f"{name}.png")
        given = ["generate", "--model", "my-dog", "--prompt", prompt, "--out", out]
        assert cli.main(given) == 0
    drawn = [np.asarray(Image.open(folders / f"{n}.png")) for n in ("it", "class")]
    assert not np.array_equal(*drawn)
    card = json.loads((folders / "own" / "my-dog" / "card.json").read_text("utf-8"))
    assert card["training"]["pictures"] == 2
    assert main(command(folders, "--quiet")) == 2
    assert "exists: choose another folder, or --replace it" in capsys.readouterr().err
    before = card["weights_sha256"]
    assert main(command(folders, "--quiet", "--replace", "--seed", "1")) == 0
    after = json.loads((folders / "own" / "my-dog" / "card.json").read_text("utf-8"))
    assert after["weights_sha256"] != before
    assert capsys.readouterr().out == ""


def test_stopped_in_the_middle_keeps_what_there_is(folders, monkeypatch, capsys):
    from var_spaces.training.subjects.tuning import SubjectTuning

    update = SubjectTuning._update

    def interrupted(self, loss):
        if self.step == 1:
            raise KeyboardInterrupt
        return update(self, loss)

    monkeypatch.setattr(SubjectTuning, "_update", interrupted)
    assert main(command(folders)) == 0
    assert "stopped after 1 steps" in capsys.readouterr().out
    card = json.loads((folders / "own" / "my-dog" / "card.json").read_text("utf-8"))
    assert card["training"]["steps"] == 1
    assert [path.name for path in (folders / "own").iterdir()] == ["my-dog"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--base", "tiny-bits"], "is a tokenizer, not a generator"),
        (["--word", " "], "Give a word for the thing"),
        (["--layers", "ca,head"], "No layers 'head': choose of ca, ffn, sa"),
        (["--prior", "soft"], "must be one of joint, per-bit, hard, none"),
        (["--out", "My Dog"], "gives the model its id"),
        (["--pictures", "own"], "No pictures in"),
        (["--pictures", "none"], "No folder of images"),
    ],
)
def test_refused_before_any_work(folders, capsys, more, message):
    given = command(folders, "--quiet")
    if more[0] in ("--pictures", "--out"):
        more = [more[0], str(folders / more[1])]
    assert main([*given, *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list((folders / "own").iterdir())


def test_flags_are_settings(folders):
    from var_spaces.training.__main__ import parser

    args = parser().parse_args(
        command(folders, "--start", "published", "--lr", "0.1", "--layers", "sa", "--rank", "2")
    )
    found = settings_of(args)
    assert (found.lr, found.rows_lr, found.precision) == (0.1, PUBLISHED.rows_lr, "bfloat16")
    assert (found.layers.parts, found.layers.rank, found.layers.rows) == (("sa",), 2, 4)


def test_pictures_are_cut_to_their_middle(folders):
    from var_spaces.zoo.cards import get_card

    found = read_pictures(folders / "pictures", get_card("tiny-t2i"), quiet=True)
    assert found.shape == (2, 3, 8, 8)
    assert -1 <= found.min() < found.max() <= 1
