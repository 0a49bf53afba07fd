"""Every word that a place refers to is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from var_spaces.ui import script, tabs
from var_spaces.ui.glossary import TERMS, term

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


def test_words_of_others_are_escaped():
    assert term("scale", "<b>").endswith('data-term="scale">&lt;b&gt;</button>')
    with pytest.raises(KeyError):
        term("unknown", "words")


@pytest.mark.parametrize("tab", tabs.names())
def test_every_tab_says_what_it_is_good_at_and_what_not(tab):
    assert 'data-term="larger"' in tabs.about(tab)
