"""What the page's scripts are told of the page."""

from __future__ import annotations

from var_spaces.ui import tabs
from var_spaces.ui.script import script


def test_the_first_tab_is_the_first_of_the_page(monkeypatch):
    monkeypatch.setattr(tabs, "names", lambda: ("edit", "generate"))
    told = script.__wrapped__()
    assert 'varSpaces.first = "edit";' in told
    assert '= "generate"' not in told
