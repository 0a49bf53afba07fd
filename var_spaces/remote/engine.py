"""Where runs are drawn: in this process, or by the engine that ``VAR_SPACES_ENGINE`` names."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from var_spaces.remote.address import address

if TYPE_CHECKING:
    from var_spaces.remote.client import RayEngine


def engine() -> RayEngine | None:
    """The engine that draws, connected; None if this process does.

    Raises:
        VarSpacesError: if the variable is no address, or nobody answers there.
    """
    place = address()
    return None if place is None else _engine(place)


@cache
def _engine(place: str) -> RayEngine:
    from var_spaces.remote.client import RayEngine

    return RayEngine(place)
