"""``python -m var_spaces estimate``: what a run needs in memory, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from var_spaces import methods
from var_spaces.cli.arguments import Parser, add_method_flags
from var_spaces.cli.generate import schedule_sizes
from var_spaces.cli.table import table
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import RunSpec
from var_spaces.zoo.cards import Card, get_card

KINDS = ("cache", "guidance", "decoding")
MAX_COUNT = 64


def run(arguments: Sequence[str]) -> None:
    first = Parser("estimate", "", add_help=False)
    _add_choices(first)
    base = vars(first.parse_known_args(arguments)[0])
    names = _names(base)
    parser = Parser("estimate", "Say what a run needs in memory. KV cache and weights are exact.")
    _add_choices(parser)
    parser.add_argument("--n", dest="count", type=int, metavar="N", help="images, 1 to 64")
    parser.add_argument(
        "--schedule", type=schedule_sizes, metavar="A,B,...", help="tokens per side and scale"
    )
    parser.add_argument("--dtype", metavar="TYPE", help="of the weights: float32, bfloat16")
    parser.add_argument("--quant", metavar="KIND", help="of weights of the blocks: int8, nf4")
    parser.add_argument("--memory", type=float, metavar="BYTES", help="instead of what is free")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    for kind in KINDS:
        add_method_flags(parser, methods.get(kind, names[kind]["name"]), kind)
    options = parser.read(arguments)
    if "model" not in options:
        parser.error("give --model")
    card = get_card(options["model"], "generator")
    _show(card, _settings(card, names, options), options)


def _add_choices(parser: Parser) -> None:
    parser.add_argument("--model", metavar="ID", help="see: python -m var_spaces models --all")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", metavar="NAME", help=", ".join(methods.names(kind)))


def _names(base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Method of each kind: the one asked for, else the card's, else that of every run."""
    card = get_card(base["model"], "generator") if "model" in base else None
    found = {}
    for kind in KINDS:
        usual = dict(card.default(kind) if card else RunSpec.model_fields[kind].default)
        wanted = base.get(kind, usual["name"])
        found[kind] = usual if wanted == usual["name"] else {"name": wanted}
    return found


def _settings(
    card: Card, names: dict[str, dict[str, Any]], options: dict[str, Any]
) -> dict[str, Any]:
    from var_spaces.tasks.plan import check_methods

    parts = {}
    for kind in KINDS:
        given = {
            key.partition(":")[2]: value
            for key, value in options.items()
            if key.startswith(f"{kind}:")
        }
        parts[kind] = methods.parse(kind, {**names[kind], **given})
    count = options.get("count", 1)
    if not 1 <= count <= MAX_COUNT:
        raise VarSpacesError(f"--n {count} is out of range: allowed is 1 to {MAX_COUNT}.")
    sizes = options.get("schedule")
    schedule = ScaleSchedule(tuple(sizes)) if sizes else None
    check_methods(card, card.default_task, parts)
    return {**parts, "count": count, "schedule": schedule}


def _bytes(number: float) -> int:
    if not 0 < number < 2**63:  # NaN is neither
        raise VarSpacesError(f"--memory {number:g} must be a number of bytes, like 16e9.")
    return int(number)


def _show(card: Card, settings: dict[str, Any], options: dict[str, Any]) -> None:
    from var_spaces.zoo.fitting import report, text

    chosen = {name: options[name] for name in ("dtype", "quant") if name in options}
    memory = _bytes(options["memory"]) if "memory" in options else None
    found = report(card, memory=memory, **settings, **chosen)
    if "json" in options:
        data = {**vars(found.estimate), "total": found.estimate.total, "memory": found.memory}
        print(json.dumps({**data, "fits": found.fits, "what_fits": found.remedy}, indent=1))
        return
    rows = [(part, text(size), exact) for part, size, exact in found.rows]
    print(table(("PART", "SIZE", ""), rows), end="")
    print(found.verdict)
