"""The leaderboard tab as it is laid out: whatever an address asks for, there is a board."""

from __future__ import annotations

import gradio as gr
import pytest

from leaderboard.store.index import row
from leaderboard.table.board import Source
from leaderboard.table.view import View
from tests.ui.board.test_html import result
from var_spaces.ui import lazy
from var_spaces.ui.board import data, tab

TEXT = {"suite": "text", "protocol": "text v1 0123abcd"}


@pytest.fixture
def rows(models, monkeypatch, tmp_path):
    monkeypatch.setenv("VAR_SPACES_LEADERBOARD", str(tmp_path))
    first, second = result(1, 30, 100), result(2, 20, 50, **TEXT)
    found = Source((row(first), row(second)), {})
    monkeypatch.setattr(data, "source", lambda: found)
    return first, second


def laid_out(query: str) -> dict[str, dict]:
    """Properties of the tab's components by their name."""
    with gr.Blocks() as page:
        tab.build_board(lazy._begun(View.from_query, query))
    props = [component["props"] for component in page.get_config_file()["components"]]
    named = {str(one["elem_id"]): one for one in props if one.get("elem_id")}
    return named | {"": {"value": [one.get("value") for one in props]}}


def test_a_model_that_a_suite_lacks_is_no_filter_there(rows):
    found, view, _ = data.board(tab.Filters.view({"protocol": "text", "models": ["model-1"]}))
    updates = dict(zip(tab.CONTROLS, tab.Filters.updates(found, view), strict=True))
    assert ([line.id for line in found.lines], found.hidden) == ([rows[1].id], 0)
    assert (updates["models"]["choices"], updates["models"]["value"]) == (["model-2"], [])
    kept, view, _ = data.board(tab.Filters.view({"protocol": "text", "models": ["model-2"]}))
    assert tab.Filters.updates(kept, view)[3]["value"] == ["model-2"]


def test_a_link_to_an_older_protocol_shows_the_newest_and_says_so(rows):
    shown = laid_out("tab=leaderboard&protocol=text v0 00000000")
    assert shown["board-protocol"]["value"] == "text v1 0123abcd"
    table = shown["board-table"]["value"]
    assert "There is no protocol &#x27;text v0 00000000&#x27; here: this is" in table
    assert f'data-id="{rows[1].id}"' in table
    assert "There is no protocol" not in laid_out("protocol=text")["board-table"]["value"]


def test_a_damaged_address_leaves_no_tab_empty(rows):
    shown = laid_out("sort=<b>")
    assert any("&lt;b&gt;" in str(v) and "sort" in str(v) for v in shown[""]["value"])
    assert f'data-id="{rows[0].id}"' in shown["board-table"]["value"]
