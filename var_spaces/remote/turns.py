"""Runs that stay on this computer while an engine elsewhere draws all others: one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from var_spaces.errors import VarSpacesError

Event = TypeVar("Event")

PATIENCE = 30.0  # seconds to wait for the run before
_turn = threading.Semaphore()


def in_turn(events: Iterable[Event]) -> Iterator[Event]:
    """The same events, begun when no other run is drawn here.

    An engine lets many runs begin at once, far more than this computer could draw.

    Raises:
        VarSpacesError: in place of the first event if the run before takes too long.
    """
    if not _turn.acquire(timeout=PATIENCE):
        raise VarSpacesError(
            "Models that visitors made are drawn here one run at a time, and one is still being "
            "drawn: try again in a minute."
        )
    try:
        yield from events
    finally:
        _turn.release()
