"""Runs side by side, as plain functions that know no page: one :class:`Board` per event."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

from var_spaces.compare.difference import Difference, difference
from var_spaces.compare.interleave import LETTERS, interleave
from var_spaces.compare.presets import Preset, columns
from var_spaces.compare.similarity import heat
from var_spaces.compare.trace import Trace
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan
from var_spaces.ui.form.form import Form
from var_spaces.ui.queue.gpu import on_gpu
from var_spaces.ui.queue.limits import in_time
from var_spaces.ui.queue.wiring import UNEXPECTED
from var_spaces.ui.run.handlers import empty
from var_spaces.ui.run.heat import coloured
from var_spaces.ui.run.pixels import preview
from var_spaces.ui.run.view import RunView
from var_spaces.ui.tabs import COMPARE as TAB

SHARED = Form(TAB, ("task", "input", "run"))
COLUMN = Form(TAB, ("model", "methods"))
WHOLE = Form(TAB)
MOST, FEWEST = len(LETTERS), 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two finished columns by number, how they differ, and where, as a data URI."""

    a: int
    b: int
    difference: Difference
    heat: str


@dataclass(frozen=True, eq=False)
class Board:
    """State of a comparison.

    Attributes:
        phase: as of a run.
        views: of the columns.
        changed: column of the last event; None if all may have changed.
        now: column that is being worked on.
        pairs: of columns, when all are done.
    """

    phase: str = "empty"
    views: tuple[RunView, ...] = ()
    changed: int | None = None
    now: int = 0
    pairs: tuple[Pair, ...] = ()
    message: str = ""

    @property
    def is_active(self) -> bool:
        return self.phase in ("loading", "running")


def request(
    shared: Mapping[str, Any], each: Sequence[Mapping[str, Any]]
) -> tuple[list[RunSpec], dict[str, Any]]:
    """The runs of filled columns: pictures, prompt, seed and all inputs are one and the same.

    Returns:
        The runs, and the pictures that they name by content hash.

    Raises:
        VarSpacesError: naming the column that is refused.
    """
    common = {**shared, "count": 1, "first": 0}
    named, pictures = SHARED.handed(common)
    found = []
    for number, own in enumerate(each):
        try:
            found.append(plan(WHOLE.run({**common, **own}, named)).spec)
        except VarSpacesError as error:
            raise VarSpacesError(f"Column {LETTERS[number]}: {error}") from None
    return found, pictures


def preset_values(preset: Preset, base: RunSpec) -> list[dict[str, Any]]:
    """Values of the columns that a preset fills in."""
    return [COLUMN.values(spec) for spec in columns(preset, base)]


def _specs(
    requests: Sequence[RunSpec], pictures: Mapping[str, Any] | None = None
) -> Sequence[RunSpec]:
    return requests


@partial(on_gpu, specs=_specs)
def run(requests: Sequence[RunSpec], pictures: Mapping[str, Any] | None = None) -> Iterator[Board]:
    """Draw all columns in turns: the board after every event, errors included.

    Closing the iterator stops all runs and frees their memory. So does the time limit of a run.

    Args:
        pictures: that the runs name, by content hash.
    """
    board = Board("loading", tuple(empty(spec.model).loading() for spec in requests))
    try:
        plans = [plan(spec) for spec in requests]
        views = tuple(replace(empty(p.card.id).loading(p.schedule), spec=p.spec) for p in plans)
        board = Board("loading", views)
        yield board
        traces = [Trace(p.card.tokenizer) for p in plans]
        with closing(interleave(plans, pictures)) as events:
            for number, event in in_time(events):
                traces[number].note(event)
                view = board.views[number].after(event)
                if view is board.views[number]:
                    continue
                views = (*board.views[:number], view, *board.views[number + 1 :])
                phase, now = "running", _next(views, number)
                board = replace(board, phase=phase, views=views, changed=number, now=now)
                yield board
        yield replace(board, phase="done", changed=None, pairs=tuple(_pairs(traces)))
    except VarSpacesError as error:
        yield replace(board, phase="failed", changed=None, message=str(error))
    except Exception:
        log.exception("A comparison failed.")
        yield replace(board, phase="failed", changed=None, message=UNEXPECTED)


def _next(views: Sequence[RunView], number: int) -> int:
    """The column whose turn comes after that of another; the same if all are done."""
    turns = (*range(number + 1, len(views)), *range(number + 1))
    return next((turn for turn in turns if views[turn].phase != "done"), number)


def _pairs(traces: Sequence[Trace]) -> Iterator[Pair]:
    for a, b in combinations(range(len(traces)), 2):
        first, second = traces[a], traces[b]
        same = first.pictures[-1].shape == second.pictures[-1].shape
        uri = preview(coloured(heat(first.pictures[-1], second.pictures[-1]))) if same else ""
        yield Pair(a, b, difference(first, second), uri)
