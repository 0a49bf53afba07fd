"""``python -m var_spaces show FILE.png``: the run spec inside a picture; no pixel is decoded."""

from __future__ import annotations

import json
from collections.abc import Sequence

from var_spaces.cli.arguments import Parser
from var_spaces.spec import RunSpec


def run(arguments: Sequence[str]) -> None:
    parser = Parser("show", "Print the run spec inside a PNG (or JSON) file, as JSON.")
    parser.add_argument("file", metavar="FILE.png")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--id", action="store_true", help="print only the id of the run")
    form.add_argument("--link", action="store_true", help="print the value of a ?run= link")
    options = parser.read(arguments)
    spec = RunSpec.from_file(options["file"])
    if "id" in options:
        print(spec.id)
    elif "link" in options:
        print(spec.to_link())
    else:
        print(json.dumps(json.loads(spec.to_json()), indent=2, sort_keys=True))
