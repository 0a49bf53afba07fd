"""``python -m leaderboard compare A B``: what B changes, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from leaderboard.cli.find import find
from leaderboard.cli.shown import say, say_json
from leaderboard.compare import compare
from leaderboard.entry import label
from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table


def run(arguments: Sequence[str]) -> None:
    parser = Parser("compare", "Compare two results of one protocol.", program="leaderboard")
    parser.add_argument("a", metavar="A", help="beginning of an id; see: list results")
    parser.add_argument("b", metavar="B", help="the result that A is compared with")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    options = parser.read(arguments)
    (a, samples_a), (b, samples_b) = (find(options[k], options.get("store")) for k in "ab")
    found = compare(a, b, samples_a, samples_b)
    if "json" in options:
        data = [{**asdict(row), "difference": row.difference} for row in found]
        say_json({"a": a.id, "b": b.id, "metrics": data})
        return
    rows = []
    for row in found:
        spread = "" if row.low is None else f"{row.low:+.4g} .. {row.high:+.4g}"
        values = [f"{row.a:.4g}", f"{row.b:.4g}", f"{row.difference:+.4g} {row.unit}".strip()]
        rows.append([row.title, *values, spread, row.verdict])
    say(a.protocol, f"A  {a.id[:8]}  {label(a.entry)}", f"B  {b.id[:8]}  {label(b.entry)}", "")
    print(table(["", "A", "B", "B - A", "95 %", "B IS"], rows), end="")
    if a.environment.device != b.environment.device:
        print("Costs are left out: the results come from different machines.")
