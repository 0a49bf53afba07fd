"""``python -m var_spaces convert MODEL --out FOLDER``: weights as sharded safetensors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from var_spaces.cli.arguments import Parser
from var_spaces.errors import printable
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.places import FOLDERS_VARIABLE


def run(arguments: Sequence[str]) -> None:
    parser = Parser("convert", "Write a model folder with a card, from weights of a known layout.")
    parser.add_argument("model", metavar="MODEL", help="whose layout, classes and defaults to take")
    parser.add_argument("--from", dest="origin", metavar="FILE", help="or owner/name:file (Hub)")
    parser.add_argument(
        "--masked", metavar="FILE", help="HMAR: of the second stage, to merge with --from"
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="its name is the new id")
    types = "float32 (default), bfloat16, float16, int8"
    parser.add_argument("--dtype", metavar="TYPE", help=types)
    parser.add_argument("--replace", action="store_true", help="replace a model that is there")
    options = parser.read(arguments)
    card, out = get_card(options["model"]), Path(options["out"])
    from var_spaces.zoo.convert import convert

    notes: list[str] = []
    dtype = options.get("dtype", "float32")
    digest = convert(
        card,
        out,
        options.get("origin"),
        dtype,
        notes=notes,
        replace=options.get("replace", False),
        masked=options.get("masked"),
    )
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    print(f"{out}: weights {digest[:16]}; set {FOLDERS_VARIABLE}={out.parent} to use '{out.name}'")
