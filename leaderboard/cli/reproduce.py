"""``python -m leaderboard reproduce [ROW]``: our command, our number, their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leaderboard.cli.shown import say_json
from leaderboard.papers import PaperRow, by_metric, paper_row, paper_rows
from leaderboard.runner.job import Job
from leaderboard.store import reading_stores
from leaderboard.suites.base import get_suite
from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table
from var_spaces.errors import VarSpacesError


def run(arguments: Sequence[str]) -> None:
    parser = Parser("reproduce", "Published rows and ours.", program="leaderboard")
    parser.add_argument("row", nargs="?", metavar="ROW", help="its id; none lists all")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    options = parser.read(arguments)
    if not options.get("row"):
        _list("json" in options)
        return
    paper = paper_row(options["row"])
    found = _told(paper, options.get("store"))
    say_json(found) if "json" in options else print(_text(paper, found), end="")


def _list(as_json: bool) -> None:
    rows = paper_rows().values()
    if as_json:
        say_json([vars(row) for row in rows])
        return
    lines = [[row.id, row.suite, row.title, row.paper] for row in rows]
    print(table(["ROW", "SUITE", "", "PAPER"], lines), end="")


def _told(paper: PaperRow, place: str | None) -> dict[str, Any]:
    """Command, numbers, and what stands in the way if there are none of ours."""
    try:
        rows = [row for store in reading_stores(place) for row in store.rows()]
        ours = paper.measured(rows)
    except VarSpacesError:
        ours = None  # the suite needs a download first
    missing = None if ours else _obstacle(paper)
    scores = by_metric(ours) if ours else {}
    numbers = {
        name: {"published": value, "ours": scores.get(name, {}).get("value")}
        for name, value in paper.published.items()
    }
    status = "measured" if ours else f"not measured: {missing}" if missing else "not measured yet"
    return {
        "row": paper.id,
        "command": paper.command(),
        "numbers": numbers,
        "result": ours["id"] if ours else None,
        "status": status,
    }


def _obstacle(paper: PaperRow) -> str:
    """Why it cannot run here, or ""."""
    try:
        Job(get_suite(paper.suite), paper.entry()).check()
    except VarSpacesError as error:
        return str(error)
    return ""


def _text(paper: PaperRow, found: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{pair['published']:g}", "-" if pair["ours"] is None else f"{pair['ours']:.4g}"]
        for name, pair in found["numbers"].items()
    ]
    note = f"{paper.note}\n" if paper.note else ""
    head = f"{paper.title} ({paper.paper})\n{found['command']}\n\n"
    return f"{head}{table(['', 'PUBLISHED', 'OURS'], rows)}\n{note}{found['status']}\n"
