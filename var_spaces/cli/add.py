"""``python -m var_spaces add CARD``: make a model known by its card."""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces.cli.arguments import Parser


def run(arguments: Sequence[str]) -> None:
    parser = Parser("add", "Make a model known; weights on the Hub are fetched when it first runs.")
    parser.add_argument(
        "card", metavar="CARD", help="a card file, a model folder, or owner/name[@revision] (Hub)"
    )
    options = parser.read(arguments)
    from var_spaces.zoo.adding import add
    from var_spaces.zoo.locate import size_text

    card = add(options["card"])
    where = "beside its card"
    if card.source:
        where = f"in {card.source.repository} ({size_text(card)}), fetched when it first runs"
    print(f"{card.id}: {card.title}; weights {where}; card in {card.folder}")
    if card.terms:
        print(f"first accept its terms: python -m var_spaces download {card.id} --accept")
