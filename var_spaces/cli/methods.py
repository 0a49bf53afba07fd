"""``python -m var_spaces methods [KIND]``: what can be combined with a model; no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from var_spaces import methods
from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table


def run(arguments: Sequence[str]) -> None:
    parser = Parser("methods", "List methods by kind; with a KIND also their parameters.")
    parser.add_argument("kind", nargs="?", metavar="KIND", help=", ".join(methods.kinds()))
    parser.add_argument("--json", action="store_true", help="print as JSON")
    options = parser.read(arguments)
    kind = options.get("kind")
    found = [
        entry for each in ([kind] if kind else methods.kinds()) for entry in methods.entries(each)
    ]
    if "json" in options:
        described = [methods.describe(e.kind, e.name) if kind else asdict(e) for e in found]
        print(json.dumps(described, indent=1, sort_keys=True))
        return
    rows = [(entry.kind, entry.name, entry.title, entry.paper) for entry in found]
    print(table(("KIND", "NAME", "TITLE", "PAPER"), rows), end="")
    if kind:
        print()
        header = ("METHOD", "PARAMETER", "TYPE", "DEFAULT", "RANGE", "MEANING")
        print(table(header, _parameters(found)), end="")


def _parameters(found: Sequence[methods.Entry]) -> Iterator[tuple[object, ...]]:
    for entry in found:
        for option in methods.cli_options(methods.get(entry.kind, entry.name)):
            kind = f"list of {option.type.__name__}" if option.many else option.type.__name__
            allowed = " | ".join(map(str, option.choices)) or option.range
            yield entry.name, option.field, kind, option.default, allowed, option.help
