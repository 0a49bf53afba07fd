"""Settings of a method as one line of text."""

from __future__ import annotations

import pytest

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.ui.form.form import KINDS
from var_spaces.ui.form.settings import parsed, written


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_gives_back_what_it_was_written_from(kind):
    for name in methods.names(kind):
        method = methods.dump(methods.parse(kind, name))
        again = methods.parse(kind, {"name": name, **parsed(kind, name, written(kind, method))})
        assert methods.dump(again) == method


def test_lists_and_switches():
    assert parsed("guidance", "per-scale", "scale=1 1.5 2") == {"scale": [1, 1.5, 2]}
    assert parsed("sampling", "top-k-top-p", " smooth = yes,top_k=3 ") == {
        "smooth": True,
        "top_k": 3,
    }
    assert parsed("cache", "full", "") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budgett=0.1", "Did you mean 'budget'"),
        ("budget", "Write budget=VALUE"),
        ("budget=much", "must be a number"),
        ("window=1.5", "must be a whole number"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(VarSpacesError, match=message):
        parsed("cache", "snapkv", text)
