"""Finds a result in all stores that a reader sees."""

from __future__ import annotations

from leaderboard.result import Result, Samples
from leaderboard.store import Store, reading_stores
from var_spaces.errors import VarSpacesError


def find(id: str, place: str | None = None) -> tuple[Result, Samples]:
    """A result and its samples by the beginning of its id.

    Raises:
        VarSpacesError: if there is none, or more than one.
    """
    result, store = locate(id, place)
    return result, store.samples(result)


def locate(id: str, place: str | None = None) -> tuple[Result, Store]:
    """A result and the store that holds it."""
    stores = reading_stores(place)
    having = {
        row["id"]: store for store in stores for row in store.rows() if row["id"].startswith(id)
    }
    if not id or len(having) != 1:
        many = "Several results begin" if len(having) > 1 else "No result begins"
        raise VarSpacesError(f"{many} with '{id[:40]}': see python -m leaderboard list.")
    ((full, store),) = having.items()
    return store.result(full), store
