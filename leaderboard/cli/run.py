"""``python -m leaderboard run``: draw, measure, add a row.

One entry from flags, or many from a sweep file (see ``leaderboard/sweep.py``). Repeating a command
continues what was interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leaderboard.entry import PARTS, Entry
from leaderboard.result import Result
from leaderboard.runner.job import BATCH, WORK, Job
from leaderboard.store import index, open_store
from leaderboard.suites.base import get_suite
from leaderboard.sweep import read_sweep
from var_spaces import methods
from var_spaces.cli.arguments import Parser, add_choices, add_method_flags, chosen, with_flags
from var_spaces.cli.table import printable, table
from var_spaces.zoo.cards import get_card

MODEL = "var-small"
ENGINES = ("local", "ray")


def run(arguments: Sequence[str]) -> None:
    jobs, options = read_jobs("run", "Run a suite and add the result.", arguments)
    for job in jobs:
        job.check()
    for job in jobs:
        _run(job, options)


def read_jobs(name: str, told: str, arguments: Sequence[str]) -> tuple[list[Job], dict[str, Any]]:
    """The jobs that the flags of a command ask for, and the other options."""
    before = Parser(name, "", add_help=False, program="leaderboard")
    _add_plain(before)
    options = vars(before.parse_known_args(arguments)[0])
    defaults = get_card(options.get("model", MODEL), "generator").defaults
    base = chosen(options, defaults, PARTS)
    parser = Parser(name, told, program="leaderboard")
    _add_plain(parser)
    for kind in PARTS:
        add_method_flags(parser, methods.get(kind, base[kind]["name"]), kind)
    options = parser.read(arguments)
    return _jobs(parser, base, options), options


def _add_plain(parser: Parser) -> None:
    parser.add_argument("--suite", metavar="NAME", help=", ".join(methods.names("suite")))
    parser.add_argument("--sweep", metavar="FILE", help="TOML or JSON file of many runs")
    add_choices(parser, PARTS)
    parser.add_argument("--dtype", metavar="TYPE", help="of the weights (default float32)")
    parser.add_argument("--batch", type=int, metavar="N", help=f"images at once, default {BATCH}")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--engine", choices=ENGINES, help="default local; torchrun starts many")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster; default: here")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--work", metavar="FOLDER", type=Path, help=f"default {WORK}")
    parser.add_argument("--submitter", metavar="NAME", help="who ran it")
    parser.add_argument("--note", metavar="TEXT", help="kept with the result")


def _jobs(parser: Parser, base: dict[str, Any], options: dict[str, Any]) -> list[Job]:
    settings = {key: options[key] for key in ("batch", "work") if key in options}
    if "sweep" in options:
        return [Job(suite, entry, **settings) for suite, entry in read_sweep(options["sweep"])]
    if "suite" not in options:
        parser.error("give --suite or --sweep")
    parts = with_flags(base, options)
    entry = Entry.of(options.get("model", MODEL), dtype=options.get("dtype"), **parts)
    return [Job(get_suite(options["suite"]), entry, **settings)]


def _run(job: Job, options: dict[str, Any]) -> None:
    more = {key: options[key] for key in ("device", "submitter", "note") if key in options}
    if options.get("engine") == "ray":
        from leaderboard.runner.cluster import run_on_ray

        done = run_on_ray(job, address=options.get("address"), progress=show_progress, **more)
    else:
        from leaderboard.runner.run import run as run_job

        done = run_job(job, progress=show_progress, **more)
    if done is None:
        return
    result, samples = done
    store = open_store(options.get("store"))
    told = index.row(result)
    same = [row for row in store.rows() if row["fingerprint"] == result.fingerprint]
    print(_told(result), end="")
    if any(row["costs"] == told["costs"] for row in same):  # it was finished before
        print(f"nothing new: {same[0]['id']} in {store.backend} says the same\n", flush=True)
        return
    store.add(result, samples)
    again = ", the same scores as before" if same else ""
    print(f"result {result.id} in {store.backend}{again}\n", flush=True)


def _told(result: Result) -> str:
    rows = []
    for score in (*result.scores, *result.costs):
        spread = "" if score.low is None else f"{score.low:.4g} .. {score.high:.4g}"
        bias = score.details.get("bias")
        note = "" if bias is None else f"about {bias:.3g} of it from small N"
        rows.append([score.title, f"{score.value:.4g} {score.unit}".strip(), spread, note])
    return f"{printable(result.label)}\n{table(['', 'VALUE', '95 %', ''], rows)}"


def show_progress(what: str, done: int, of: int) -> None:
    """A line that fills where a person looks, else a line per tenth."""
    if sys.stderr.isatty():
        end = "\n" if done == of else ""
        print(f"\r{what}: {done}/{of}".ljust(70), end=end, file=sys.stderr, flush=True)
    elif done == of or done % max(1, of // 10) == 0:
        print(f"{what}: {done}/{of}", file=sys.stderr, flush=True)
