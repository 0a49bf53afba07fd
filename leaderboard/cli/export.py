"""``python -m leaderboard export``: results as CSV, JSON or ``.eval_results`` YAML."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.export import to_csv, to_eval_results, to_json
from leaderboard.store import reading_stores
from leaderboard.table.board import Source
from var_spaces.cli.arguments import Parser
from var_spaces.paths import write_file


def run(arguments: Sequence[str]) -> None:
    parser = Parser("export", "Write results for other programs.", program="leaderboard")
    parser.add_argument("--format", choices=("csv", "json", "eval-results"), help="default csv")
    parser.add_argument("--suite", metavar="NAME", help="of one suite only")
    parser.add_argument("--model", metavar="ID", help="of one model only")
    parser.add_argument("--dataset", metavar="OWNER/NAME", help="of the results, for eval-results")
    parser.add_argument("--url", metavar="URL", help="page of the leaderboard")
    parser.add_argument("--out", metavar="FILE", help="default: print")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    options = parser.read(arguments)
    rows = [
        row
        for row in Source.of(reading_stores(options.get("store"))).stamped
        if options.get("suite") in (None, row["suite"])
        and options.get("model") in (None, row["model"])
    ]
    form = options.get("format", "csv")
    if form == "eval-results":
        if "dataset" not in options:
            parser.error("give --dataset: the Hub repository that holds the results")
        text = to_eval_results(rows, options["dataset"], options.get("url", ""))
    else:
        text = {"csv": to_csv, "json": to_json}[form](rows)
    if "out" in options:
        write_file(options["out"], text.encode())
        print(f"{options['out']}: {len(rows)} results")
    else:
        print(text, end="")
