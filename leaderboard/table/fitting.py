"""What of a view a table can show: views travel in addresses, and tables change meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leaderboard.table.board import Board, Source, build
from leaderboard.table.view import View

FILTERS = {"models": "model", "caches": "cache", "decodings": "decoding"}


def fitted(source: Source, view: View) -> tuple[View, str]:
    """The view without what the table does not have.

    A protocol that is gone gives way to the newest one of its suite, or to the usual one. Filters
    and columns that are no choice of the protocol are left out: nobody sees them chosen, so they
    must hide nothing.

    Returns:
        The view, and one line that says which protocol it is instead; "" if it is the one asked.
    """
    wanted, known = view.protocol, source.suites
    gone = wanted not in ("", *known, *known.values())
    if gone:
        suite = wanted.partition(" ")[0]
        view = view.model_copy(update={"protocol": suite if suite in known.values() else ""})
    plain = build(source, View(protocol=view.protocol))
    told = ""
    if gone and plain.protocol:
        told = f"There is no protocol '{wanted}' here: this is '{plain.protocol}'."
    return view.model_copy(update=_kept(view, plain)), told


def _kept(view: View, plain: Board) -> dict[str, Any]:
    """The fields of a view that name what there is to choose."""
    keys = {column.key for column in plain.columns}

    def among(chosen: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in chosen if name in set(known))

    filters = {
        field: among(getattr(view, field), plain.choices.get(kind, ()))
        for field, kind in FILTERS.items()
    }
    single = {field: getattr(view, field) for field in ("sort", "x", "y")}
    columns = {field: key if key in keys else "" for field, key in single.items()}
    return {**filters, **columns, "columns": among(view.columns, keys)}
