"""``python -m var_spaces manifest MODEL``: keys, shapes and types of a weight file, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from var_spaces.cli.arguments import Parser
from var_spaces.zoo.cards import get_card


def run(arguments: Sequence[str]) -> None:
    parser = Parser(
        "manifest", "Print {key: [shape, dtype]} of what a weight file of a model holds."
    )
    parser.add_argument("model", metavar="MODEL", help="see: python -m var_spaces models --all")
    card = get_card(parser.read(arguments)["model"])
    from var_spaces.zoo.manifest import manifest

    lines = [f" {json.dumps(key)}: {json.dumps(entry)}" for key, entry in manifest(card).items()]
    print("{\n" + ",\n".join(lines) + "\n}")
