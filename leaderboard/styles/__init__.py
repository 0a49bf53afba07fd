"""Pictures whose content and style are to be told apart: of the embedded suite, and CSD-100."""

from __future__ import annotations

from collections.abc import Callable

from leaderboard.styles.base import Picture


def picture(name: str) -> Picture:
    """A picture by the name of its set and its own: ``embedded/dog, glossy``, ``csd-100/...``.

    Raises:
        VarSpacesError: if it must be downloaded; says where from.
    """
    place, _, own = name.partition("/")
    return _finder(place)(own)


def _finder(place: str) -> Callable[[str], Picture]:
    if place == "embedded":
        from leaderboard.styles import sheet

        return sheet.find
    from leaderboard.styles import csd_100

    return csd_100.find
