"""Things whose pictures people hand in, to be drawn elsewhere: those of the subject suites."""

from __future__ import annotations

from collections.abc import Callable

from leaderboard.subjects.base import Subject


def subject(name: str) -> Subject:
    """A subject by the name of its set and its own: ``embedded/dog, glossy``, ``dreambench/dog2``.

    Raises:
        VarSpacesError: if its pictures must be downloaded; says where from.
    """
    place, _, own = name.partition("/")
    return _finder(place)(own)


def _finder(place: str) -> Callable[[str], Subject]:
    if place == "embedded":
        from leaderboard.subjects import sheet

        return sheet.find
    from leaderboard.subjects import folders

    return {"dreambench": folders.dreambench, "vico": folders.vico}[place]
