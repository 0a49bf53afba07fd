"""``python -m leaderboard requests``: what was submitted, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.cli.shown import say, say_json
from leaderboard.store import open_store
from leaderboard.submissions.queue import Queue
from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table


def run(arguments: Sequence[str]) -> None:
    parser = Parser("requests", "List submissions, oldest first.", program="leaderboard")
    parser.add_argument("id", nargs="?", help="one request with its log")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    options = parser.read(arguments)
    queue = Queue(open_store(options.get("store")))
    found = [queue.get(options["id"])] if options.get("id") else queue.requests()
    if "json" in options:
        say_json([{"id": r.id, **r.model_dump(mode="json")} for r in found])
        return
    rows = []
    for request in found:
        now = request.lease.progress if request.lease else request.verdict or request.reason
        rows.append([request.id, request.state, str(request.attempts), request.label, now])
    print(table(["REQUEST", "STATE", "ATTEMPTS", "ENTRY", ""], rows), end="")
    if options.get("id"):
        say(*found[0].log)
