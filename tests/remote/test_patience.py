"""A run that no computer begins is given up in one line; all others are handed on as they come."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.remote.patience import begun


@pytest.mark.parametrize("messages", [[], [1], [1, 2, 3]])
def test_messages_are_handed_on(messages):
    assert list(begun(iter(messages), 60)) == messages


def test_who_waits_too_long_is_told_so():
    ending = Event()

    def silent() -> Iterator[int]:
        assert ending.wait(60)
        yield 1

    try:
        with pytest.raises(VarSpacesError, match=r"^No computer of the engine began .* try again"):
            next(begun(silent(), 0))
    finally:
        ending.set()


def test_what_goes_wrong_reaches_who_waits():
    def lost() -> Iterator[int]:
        raise ConnectionError("gone")
        yield

    with pytest.raises(ConnectionError, match="gone"):
        next(begun(lost(), 60))
