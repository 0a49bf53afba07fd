"""``python -m var_spaces download MODEL``: weights of a published model into the Hub cache."""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces.cli.arguments import Parser
from var_spaces.zoo.cards import get_card


def run(arguments: Sequence[str]) -> None:
    parser = Parser(
        "download", "Fetch the weights of a published model and of its tokenizer; resumes."
    )
    parser.add_argument("model", metavar="MODEL", help="see: python -m var_spaces models --all")
    parser.add_argument("--accept", action="store_true", help="accept the terms of its card")
    options = parser.read(arguments)
    card = get_card(options["model"])
    from var_spaces.zoo.locate import download

    wanted = [card] + ([get_card(card.tokenizer)] if card.tokenizer else [])
    for each in wanted:
        files = download(each, "accept" in options)
        size = sum(path.stat().st_size for path in files)
        print(f"{each.id}: {len(files)} file{'s' * (len(files) > 1)}, {size / 1e6:.1f} MB, here")
