"""Every word that a place refers to is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from var_spaces.ui import script, tabs
from var_spaces.ui.form.controls import element_id
from var_spaces.ui.form.form import Form
from var_spaces.ui.glossary import TERMS, term
from var_spaces.ui.own.lessons import LESSONS

SOURCES = Path(script.__file__).parent


def test_places_refer_to_words_that_are_explained():
    asked = {
        key
        for path in SOURCES.rglob("*.py")
        for key in re.findall(r'term\("(\w+)"', path.read_text())
    }
    assert asked
    assert asked <= set(TERMS)
    assert all(title and text.endswith(".") for title, text in TERMS.values())


@pytest.mark.parametrize("tab", tabs.names())
def test_everything_that_a_tab_asks_for_is_explained(tab):
    """By the last part of the control's id, as ``js/help.js`` looks."""
    fields = [field for field in Form(tab).fields if field.role in ("task", "input")]
    asked = {element_id(tab, field.key).rpartition("-")[2] for field in fields}
    assert asked <= set(TERMS), sorted(asked - set(TERMS))


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_everything_that_a_lesson_asks_for_is_explained(lesson):
    asked = {word.key for word in lesson.words} | {"base", "start", "steps", "own", "loss"}
    assert asked <= set(TERMS)


def test_words_of_others_are_escaped():
    assert term("scale", "<b>").endswith('data-term="scale">&lt;b&gt;</button>')
    with pytest.raises(KeyError):
        term("unknown", "words")


@pytest.mark.parametrize("tab", tabs.names())
def test_every_tab_says_what_it_is_good_at_and_what_not(tab):
    assert 'data-term="larger"' in tabs.about(tab)
