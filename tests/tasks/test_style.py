"""The style task: learned rows where there are some, words where there are none."""

from __future__ import annotations

import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.methods import parse
from var_spaces.zoo.cards import Card, get_card

ASKED = {"name": "style", "prompt": "an <content> in <style>", "content": "owl", "style": "glossy"}


def learned(adapter: str) -> Card:
    return get_card("t2i-bit").model_copy(update={"adapter": {"name": adapter}})


def test_words_stand_in_where_nothing_was_learned():
    base = get_card("t2i-bit")
    assert parse("task", ASKED).resolve(base).prompt == "an owl in glossy style"
    without = {**ASKED, "style": ""}
    assert parse("task", without).resolve(base).prompt == "an owl in <style>"


def test_a_model_that_learned_them_is_asked_for_them():
    task = parse("task", ASKED)
    assert task.resolve(learned("content-style")) is task


def test_words_are_bounded():
    with pytest.raises(VarSpacesError, match="style"):
        parse("task", {**ASKED, "style": "x" * 65})


@pytest.mark.parametrize("adapter", ["content-style", "content-styles"])
def test_all_models_that_learned_a_style_are_asked_for_it(adapter):
    task = parse("task", {"name": "style", "prompt": "<content> in <style>", "content": "owl"})
    assert task.resolve(learned(adapter)) is task
