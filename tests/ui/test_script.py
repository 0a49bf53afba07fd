"""What the page's scripts are told of the page."""

from __future__ import annotations

from types import SimpleNamespace

from var_spaces.ui import tabs
from var_spaces.ui.form import pictures
from var_spaces.ui.script import script


def test_the_first_tab_is_the_first_of_the_page(monkeypatch):
    monkeypatch.setattr(tabs, "names", lambda: ("edit", "generate"))
    told = script.__wrapped__()
    assert 'varSpaces.first = "edit";' in told
    assert '= "generate"' not in told


def test_an_editor_takes_as_much_of_a_picture_as_the_largest_model_sees(monkeypatch):
    for side, most in ((64, 512**2), (1024, 2 * 1024**2)):
        card = SimpleNamespace(resolution=side)
        monkeypatch.setattr(pictures, "cards", lambda _, card=card: {"tiny": card})
        assert f"varSpaces.mostPixels = {most};" in script.__wrapped__()
