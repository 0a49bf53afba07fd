"""``python -m var_spaces models``: what can be used, read from the cards; no torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from var_spaces.cli.arguments import Parser
from var_spaces.cli.table import table
from var_spaces.errors import printable
from var_spaces.zoo import cards


def run(arguments: Sequence[str]) -> None:
    parser = Parser("models", "List the models that can be used.")
    parser.add_argument("--json", action="store_true", help="print all that the cards say")
    parser.add_argument(
        "--all", action="store_true", help="also published models whose weights are not here"
    )
    options = parser.read(arguments)

    found = list((cards.known() if "all" in options else cards.cards()).values())
    for problem in cards.problems():
        print(f"warning: {printable(problem)}", file=sys.stderr)
    if "json" in options:
        shown = [card.model_dump(mode="json") for card in found]
        print(json.dumps(shown, indent=1, sort_keys=True))
        return
    rows = [
        (card.id, card.role, _family(card), len(card.classes), len(card.styles), card.title)
        for card in found
    ]
    more = 0 if "all" in options else len(cards.known()) - len(found)
    print(table(("MODEL", "ROLE", "FAMILY", "CLASSES", "STYLES", "TITLE"), rows), end="")
    if more:
        print(f"{more} more are published: python -m var_spaces models --all")


def _family(card: cards.Card) -> str:
    return f"{card.adapter['name']} on {card.base}" if card.base else card.family
