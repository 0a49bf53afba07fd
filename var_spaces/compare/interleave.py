"""Several runs at once: their events in turns, one scale of each after the other.

What changes during a run lives in the run, so taking turns changes no result and no time of a
scale; all models stay in memory together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.events import Event
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import Plan

LETTERS = "ABCD"


def interleave(
    specs: Sequence[RunSpec | Plan], pictures: Mapping[str, Any] | None = None, **options: Any
) -> Iterator[tuple[int, Event]]:
    """Number of the run and event, in turns; closing the iterator stops all runs.

    Args:
        specs: one to four runs, or their plans.
        pictures, options: as for :func:`var_spaces.api.stream`.

    Raises:
        VarSpacesError: before any run starts, naming the one that cannot run.
    """
    streams = []
    for number, spec in enumerate(specs):
        try:
            streams.append(api.stream(spec, images=pictures, **options))
        except VarSpacesError as error:
            raise VarSpacesError(f"Column {LETTERS[number]}: {error}") from None
    return _turns(streams)


def _turns(streams: Sequence[Iterator[Event]]) -> Iterator[tuple[int, Event]]:
    with ExitStack() as stack:
        going = {number: stack.enter_context(closing(s)) for number, s in enumerate(streams)}
        while going:
            for number, events in list(going.items()):
                try:
                    event = next(events)
                except StopIteration:
                    del going[number]
                else:
                    yield number, event
