"""Whatever ends the drawing of a grid, its status says so: on every tab that draws one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import gradio as gr
import pytest

from var_spaces.compare.grid import Axis
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.compare import grid
from var_spaces.ui.form.form import Form
from var_spaces.ui.own import matrix
from var_spaces.ui.queue.wiring import UNEXPECTED
from var_spaces.ui.run import control_view

GRID = grid.Grid(Axis("seed", (1, 2)), None, ((RunSpec(model="tiny"), RunSpec(model="tiny")),))
CELL = ("data:,", 1.0, 10)


@pytest.fixture(params=["grid", "matrix", "prompts"])
def draw(request, monkeypatch) -> Callable[[], Iterator[tuple]]:
    """Draws ``GRID`` as one of the tabs does."""
    monkeypatch.setattr(grid, "plan_grid", lambda *_: GRID)
    monkeypatch.setattr(matrix, "plan_table", lambda *_: GRID)
    monkeypatch.setattr(matrix, "request", lambda *_: RunSpec(model="tiny"))
    monkeypatch.setattr(control_view, "plan_prompts", lambda *_: GRID)
    monkeypatch.setattr(Form, "shown", lambda _, given: given)
    return {
        "grid": lambda: grid._draw("seed", "1, 2", grid.NOTHING, ""),
        "matrix": lambda: matrix._draw(True, "tiny", "", "car", "flat", "1"),
        "prompts": lambda: control_view._draw_all(Form("control"), "a castle"),
    }[request.param]


def statuses(events: Iterator[tuple]) -> list[str]:
    """What is said after every event, up to the end or the error of the visitor."""
    found = []
    try:
        for said, *_ in events:
            text = said.get("value") if isinstance(said, dict) else said
            found += [text] if text else []
    except gr.Error as error:
        found.append(error.message)
    return found


def drawing(*ends: Exception) -> Callable[[grid.Grid], Iterator[grid.Grid]]:
    """Draws one cell, then ends like that, or draws the other one."""

    def run(wanted: grid.Grid) -> Iterator[grid.Grid]:
        yield replace(wanted, done=(CELL,))
        for error in ends:
            raise error
        yield replace(wanted, done=(CELL, CELL))

    return run


def test_it_says_what_is_drawn_and_when_all_is(draw, monkeypatch):
    monkeypatch.setattr(grid, "run", drawing())
    said = statuses(draw())
    assert [text for part, text in zip(("1 of 2", "2 of 2"), said, strict=False) if part in text]
    assert "<b>Drawing 2 of 2:</b> seed 2." in said[1]
    assert 'data-phase="done"' in said[-1] and "<b>Done.</b> 2 " in said[-1]


def test_what_is_unexpected_ends_it_and_tells_nothing(draw, monkeypatch, caplog):
    monkeypatch.setattr(grid, "run", drawing(RuntimeError("out of memory at /srv/secret")))
    *_, running, failed, toast = statuses(draw())
    assert "Drawing 2 of 2" in running
    assert 'data-phase="failed"' in failed and "<b>Not drawn.</b>" in failed
    assert UNEXPECTED in failed and toast == UNEXPECTED
    assert "/srv/secret" in caplog.text


def test_refusals_end_it_in_their_line(draw, monkeypatch):
    monkeypatch.setattr(grid, "run", drawing(VarSpacesError("Too long: <ask> for less.")))
    *_, failed, toast = statuses(draw())
    assert 'data-phase="failed"' in failed and "Too long: &lt;ask&gt; for less." in failed
    assert toast == "Too long: &lt;ask&gt; for less."


def test_leaving_ends_the_run(draw, monkeypatch):
    ended = []

    def run(wanted):
        try:
            yield replace(wanted, done=(CELL,))
        finally:
            ended.append(True)

    monkeypatch.setattr(grid, "run", run)
    events = draw()
    next(events), next(events)
    events.close()
    assert ended == [True]
