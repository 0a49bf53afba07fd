"""``python -m leaderboard list``: suites, metrics, or what is in the store."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from leaderboard.cli.shown import say, say_json
from leaderboard.store import reading_stores
from leaderboard.store.index import scores
from leaderboard.suites.base import get_suite
from leaderboard.table.board import Source
from var_spaces import methods
from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table
from var_spaces.errors import did_you_mean

WHAT = ("results", "suites", "metrics", "extractors", "references")


def run(arguments: Sequence[str]) -> None:
    parser = Parser("list", "List what there is.", program="leaderboard")
    parser.add_argument("what", nargs="?", metavar="WHAT", help=", ".join(WHAT))
    parser.add_argument("--suite", metavar="NAME", help="results of one suite only")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    options = parser.read(arguments)
    what = options.get("what") or "results"
    if what == "results":
        _results(options)
    elif what == "suites":
        _suites(options)
    elif what not in WHAT:
        parser.error(f"unknown '{what}'.{did_you_mean(what, WHAT)} There are {', '.join(WHAT)}")
    else:
        _methods(what.removesuffix("s"), options)


def _results(options: dict[str, Any]) -> None:
    rows = list(_rows(options))
    if "json" in options:
        say_json([{**row, "scores": scores(row)} for row in rows])
        return
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        ours = [row for row in rows if row["protocol"] == protocol]
        titles = list(dict.fromkeys(s["title"] for row in ours for s in scores(row)))
        lines = []
        for row in ours:
            found = {s["title"]: f"{s['value']:.4g} {s['unit']}".strip() for s in scores(row)}
            told = (row["id"][:8], row["verdict"] or "-", row["label"])
            lines.append([*told, *(found.get(t, "-") for t in titles)])
        say(protocol)
        print(table(["ID", "CHECKED", "ENTRY", *titles], lines))
    if not rows:
        print("No results yet: python -m leaderboard run --suite smoke")


def _rows(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    source = Source.of(reading_stores(options.get("store")))
    if source.skipped:
        say(*source.skipped, "See: python -m leaderboard validate", to=sys.stderr)
    return (row for row in source.stamped if options.get("suite") in (None, row["suite"]))


def _suites(options: dict[str, Any]) -> None:
    suites = [get_suite(name) for name in methods.names("suite")]
    told = [
        {
            "name": suite.name,
            "version": suite.version,
            "title": suite.title,
            "task": suite.task,
            "minutes": suite.minutes,
            "downloads": list(suite.downloads),
        }
        for suite in suites
    ]
    if "json" in options:
        say_json(told)
        return
    rows = [
        [t["name"], t["version"], t["task"], t["title"], "; ".join(t["downloads"]) or "-"]
        for t in told
    ]
    print(table(["SUITE", "VERSION", "TASK", "", "NEEDS"], rows), end="")


def _methods(kind: str, options: dict[str, Any]) -> None:
    found = [methods.describe(kind, name) for name in methods.names(kind)]
    if "json" in options:
        say_json(found)
        return
    rows = [[method["name"], method["title"], method["paper"]] for method in found]
    print(table([kind.upper(), "", "PAPER"], rows), end="")
