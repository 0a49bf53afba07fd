"""``python -m leaderboard reproduce [ROW]``: our command, our number, their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from leaderboard.cli.shown import say, say_json
from leaderboard.papers import paper_row, paper_rows
from leaderboard.store import reading_stores
from leaderboard.table.board import Source
from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table


def run(arguments: Sequence[str]) -> int:
    parser = Parser("reproduce", "Published rows and ours.", program="leaderboard")
    parser.add_argument("row", nargs="?", metavar="ROW", help="its id; none lists all")
    parser.add_argument("--all", action="store_true", help="all rows with their numbers")
    parser.add_argument("--dry-run", action="store_true", help="would the command start?")
    parser.add_argument("--markdown", action="store_true", help="the page of the documentation")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    options = parser.read(arguments)
    chosen = [options["row"]] if options.get("row") else list(paper_rows())
    if "dry_run" in options:
        return _dry_run(chosen, "json" in options)
    if options.get("row") or "all" in options or "markdown" in options:
        _numbers(chosen, options)
    else:
        _list("json" in options)
    return 0


def _list(as_json: bool) -> None:
    rows = paper_rows().values()
    if as_json:
        say_json([vars(row) for row in rows])
        return
    lines = [[row.id, row.suite or ("counted" if row.counted else "-"), row.title] for row in rows]
    print(table(["ROW", "SUITE", ""], lines), end="")


def _numbers(chosen: Sequence[str], options: dict[str, Any]) -> None:
    from leaderboard.reproduction import markdown, reproduced, would_start

    rows = Source.of(reading_stores(options.get("store"))).standing
    found = [reproduced(paper_row(id), rows) for id in chosen]
    if "markdown" in options:
        print(markdown(found), end="")
        return
    waits = {}
    if len(found) == 1 and found[0].status == "not measured":
        waits[chosen[0]] = would_start(found[0].row)[1]
    told = [
        {
            "row": one.row.id,
            "command": one.row.command(),
            "numbers": {name: {"published": a, "ours": b} for name, (a, b) in one.numbers.items()},
            "result": one.result or None,
            "verdict": one.verdict,
            "status": ": ".join(filter(None, (one.status, waits.get(one.row.id) or one.reason))),
        }
        for one in found
    ]
    if "json" in options:
        say_json(told if "all" in options else told[0])
    elif len(found) == 1:
        _tell(told[0])
    else:
        lines = [
            [one["row"], *cells, one["verdict"], one["status"]]
            for one in told
            for cells in _cells(one)
        ]
        print(table(["ROW", "", "PUBLISHED", "OURS", "VERDICT", ""], lines), end="")


def _cells(told: dict[str, Any]) -> list[list[str]]:
    """Name, their number and ours."""
    return [
        [name, f"{pair['published']:g}", "-" if pair["ours"] is None else f"{pair['ours']:.6g}"]
        for name, pair in told["numbers"].items()
    ]


def _tell(told: dict[str, Any]) -> None:
    row = paper_row(told["row"])
    say(f"{row.title} ({row.paper})", told["command"], "")
    print(table(["", "PUBLISHED", "OURS"], _cells(told)))
    say(*filter(None, (row.note, f"{told['status']} {told['verdict']}".strip())))


def _dry_run(chosen: Sequence[str], as_json: bool) -> int:
    """0 if all commands are right, whatever they wait for."""
    from leaderboard.reproduction import would_start

    found = []
    for id in chosen:
        right, why = would_start(paper_row(id))
        missing = paper_row(id).missing
        state = "cannot run" if missing else "broken" if not right else "waits" if why else "starts"
        found.append({"row": id, "state": state, "why": why})
    if as_json:
        say_json(found)
    else:
        print(table(["ROW", "", ""], [[f["row"], f["state"], f["why"]] for f in found]), end="")
        totals = Counter(f["state"] for f in found)
        say(", ".join(f"{count} {state}" for state, count in totals.items()))
    return 1 if any(f["state"] == "broken" for f in found) else 0
