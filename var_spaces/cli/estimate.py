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

KINDS = ("cache", "guidance")
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
    _show(card, _settings(names, options), options)


def _add_choices(parser: Parser) -> None:
    parser.add_argument("--model", metavar="ID", help="see: python -m var_spaces models --all")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", metavar="NAME", help=", ".join(methods.names(kind)))


def _names(base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Method of each kind: the one asked for, else the card's, else that of every run."""
    defaults = get_card(base["model"], "generator").defaults if "model" in base else {}
    found = {}
    for kind in KINDS:
        usual = dict(defaults.get(kind) or RunSpec.model_fields[kind].default)
        wanted = base.get(kind, usual["name"])
        found[kind] = usual if wanted == usual["name"] else {"name": wanted}
    return found


def _settings(names: dict[str, dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
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
    return {**parts, "count": count, "schedule": schedule}


def _show(card: Card, settings: dict[str, Any], options: dict[str, Any]) -> None:
    from var_spaces.zoo.environment import dtype_from_environment, quant_from_environment
    from var_spaces.zoo.estimate import estimate, what_fits
    from var_spaces.zoo.placement import free_memory, resolve

    device = resolve().main
    settings["dtype"] = options.get("dtype") or dtype_from_environment()
    settings["quant"] = options.get("quant") or quant_from_environment()
    settings["together"] = device.type != "cpu"
    found = estimate(card, **settings)
    memory = int(options["memory"]) if "memory" in options else free_memory(device)
    fits = None if memory is None else found.total <= memory
    remedy = what_fits(card, memory, **settings) if fits is False else None
    if "json" in options:
        data = {**vars(found), "total": found.total, "memory": memory, "fits": fits}
        print(json.dumps({**data, "what_fits": remedy}, indent=1))
        return
    schedule = settings["schedule"] or card.schedule
    rows = [(f"weights of {name}", text(size), "exact") for name, size in found.weights.items()]
    for (h, w), size in zip(schedule.sizes, found.kv, strict=True):
        rows.append((f"KV cache after {h}x{w}", text(size), "exact"))
    rows += [("activations", text(found.activations), "estimate")]
    rows += [("decoder", text(found.decoder), "estimate")]
    rows += [("needed at once", text(found.total), "estimate")]
    print(table(("PART", "SIZE", ""), rows), end="")
    if memory is not None:
        ending = "fits" if fits else f"does not fit; what would: {remedy or 'a smaller model'}"
        print(f"{text(memory)} are free on {device}: {ending}.")


def text(size: int) -> str:
    """Bytes in words."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:.2f} {unit}"
    return f"{size} B"
