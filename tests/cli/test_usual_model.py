"""A command that names no model, and what listings point to."""

from __future__ import annotations

import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import usual_model
from var_spaces.zoo.cards import get_card


@pytest.mark.parametrize(
    ("task", "wanted", "model"),
    [
        (None, "class-labels", "var-base"),
        (None, "text", "t2i-refined"),
        ("edit", "class-labels", "var-base"),
        ("text-to-image", "text", "t2i-refined"),
    ],
)
def test_the_usual_model(task, wanted, model):
    assert usual_model(task, wanted).id == model


def test_what_nobody_draws():
    with pytest.raises(VarSpacesError, match="name one with --model"):
        usual_model("generate", "text")


def test_a_class_or_a_prompt_is_enough(run, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_OFFER", "tiny-*")  # small ones, for the sake of time
    out = tmp_path / "a.png"
    assert run("generate", "--class", "key", "--out", out)[0] == 0
    spec = RunSpec.read_png(out)
    assert spec.model == "tiny-var" and spec.sampling["top_k"] == 16
    assert run("generate", "--spec", out, "--class", "banana", "--out", out)[0] == 0
    assert "name one with --model" in refused("generate", "--prompt", "a key", "--out", out)
    assert "'model' is missing" in refused("generate", "--out", out)


def test_defaults_are_those_of_the_card_or_of_every_run():
    card = get_card("t2i-bit")
    assert card.default("guidance")["name"] == "per-scale" and card.default_task == "text-to-image"
    assert card.default("cache") == {"name": "full"}
    assert get_card("var-base").default_task == "generate"


def test_models_tells_of_published_ones(run):
    listed = run("models")[1].splitlines()
    assert listed[-1].endswith("more are published: python -m var_spaces models --all")
    every = run("models", "--all")[1].splitlines()
    assert len(every) - 1 == len(listed) - 2 + int(listed[-1].split()[0])
    assert "published" not in every[-1]


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "0"])
def test_memory_is_a_number_of_bytes(refused, number):
    said = refused("estimate", "--model", "tiny-var", "--memory", number)
    assert "must be a number of bytes" in said


def test_a_result_is_run_again_by_verify(capsys):
    from leaderboard.cli import main

    assert main(["reproduce", "0123abcd"]) == 2
    assert "python -m leaderboard verify 0123abcd" in capsys.readouterr().err
    assert main(["reproduce", "nothing-like-it"]) == 2
    assert "verify" not in capsys.readouterr().err
