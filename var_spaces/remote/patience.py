"""How long a run waits until a computer of the engine begins it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, TimeoutError
from threading import Thread
from typing import Any

from var_spaces.errors import VarSpacesError

PATIENCE = 600.0  # seconds; a computer may have to fetch the model first
LATE = (
    "No computer of the engine began this run in time, as too many are asked for: try again in a "
    "few minutes."
)
_END = object()


def begun(told: Iterator[Any], seconds: float = PATIENCE) -> Iterator[Any]:
    """The same messages, if the first one comes in time; only a thread can stop waiting for it.

    Raises:
        VarSpacesError: in place of the first message; the caller cancels what still waits.
    """
    first: Future[Any] = Future()

    def wait() -> None:
        try:
            first.set_result(next(told, _END))
        except BaseException as error:
            first.set_exception(error)

    Thread(target=wait, daemon=True, name="first message").start()
    try:
        message = first.result(seconds)
    except TimeoutError:
        raise VarSpacesError(LATE) from None
    if message is not _END:
        yield message
        yield from told
