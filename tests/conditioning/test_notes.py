"""Who wrote a prompt is told what is not read of it: events, warnings, command line, page."""

from __future__ import annotations

import warnings

import pytest

import var_spaces
from tests.infinity import write_models
from var_spaces.cli import main
from var_spaces.conditioning.minilm import MiniLM
from var_spaces.events import Started
from var_spaces.ui.api.states import run_state
from var_spaces.ui.run.stage import status
from var_spaces.ui.run.view import RunView

LONG = " ".join(["red apple"] * 40)


@pytest.fixture(scope="module")
def encoder():
    return MiniLM().load("cpu")


def test_a_prompt_that_is_read_whole_has_no_notes(encoder):
    assert MiniLM().notes(["a red apple beside a blue key", "", "RED  apple\n"], encoder) == ()


def test_the_end_of_a_long_prompt_is_named(encoder):
    (note,) = MiniLM().notes([LONG, LONG], encoder)
    encoder.unread(LONG * 20)
    assert not any("length" in said for said in encoder.tokenizer.deprecation_warnings)  # logged
    assert note.startswith("The prompt was cut after 64 tokens; not read: 'red apple red apple")
    assert note.endswith("...'.") and len(note) < 130
    rest, _ = encoder.unread(LONG)
    assert rest == " ".join(["red apple"] * 9)  # 64 with two special ones are 31 times two
    assert MiniLM(max_length=8).notes(["one red apple and two blue keys"], encoder) == (
        "The prompt was cut after 8 tokens; not read: 'keys'.",
    )


def test_words_that_are_not_known_are_named(encoder):
    (note,) = MiniLM().notes(["a 画 and a 画 beside ☃☃"], encoder)
    assert note == "The text encoder does not know '画', '☃☃'."
    many = " ".join(chr(0x13000 + number) for number in range(20))  # hieroglyphs
    (note,) = MiniLM().notes([many], encoder)
    assert note.endswith("and 12 more.")


def test_a_run_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(write_models(tmp_path)))
    started = next(iter(var_spaces.stream(model="tiny-t2i", prompt=LONG)))
    assert isinstance(started, Started) and "after 16 tokens" in started.notes[0]
    with pytest.warns(UserWarning, match="after 16 tokens"):
        var_spaces.generate(model="tiny-t2i", prompt="a key", negative_prompt=LONG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        var_spaces.generate(model="tiny-t2i", prompt="a key")
    out = tmp_path / "a.png"
    assert main(["generate", "--model", "tiny-t2i", "--prompt", LONG, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert (
        said.err.startswith("note: The prompt was cut after 16 tokens") and "note" not in said.out
    )
    view = RunView()
    for event in var_spaces.stream(model="tiny-t2i", prompt=f"<b>画</b> {LONG}"):
        view = view.after(event)
    assert run_state(view)["notes"] == list(view.notes) and view.notes
    assert "was cut after 16 tokens" in status(view) and "<b>画" not in status(view)
