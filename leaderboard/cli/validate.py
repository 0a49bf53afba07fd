"""``python -m leaderboard validate``: is a sweep file, or the store, sound?"""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard import sound
from leaderboard.cli.shown import say
from leaderboard.store import Store, open_store, reading_stores
from leaderboard.sweep import read_sweep
from var_spaces.cli.arguments import Parser
from var_spaces.errors import VarSpacesError


def run(arguments: Sequence[str]) -> int:
    parser = Parser(
        "validate", "Check every result and its samples, or a sweep file.", program="leaderboard"
    )
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="TOML or JSON file of runs")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--reindex", action="store_true", help="write the index of the store anew")
    options = parser.read(arguments)
    if options.get("sweep"):
        return _sweep(options["sweep"])
    problems = 0
    for store in reading_stores(options.get("store")):
        found = sound.problems(store)
        problems += len(found)
        say(*found)
        past = sound.stale(store)
        say(*(f"stale: {line}" for line in past))
        told = f"{len(found)} problems, {len(past)} stale" if past else f"{len(found)} problems"
        print(f"{store.backend}: {_count(store)} results, {told}")
    if "reindex" in options:
        print(f"index of {open_store(options.get('store')).reindex()} results written")
    return 1 if problems else 0


def _count(store: Store) -> int:
    try:
        return len(store.read_results()[0])
    except VarSpacesError:
        return 0  # it is out of reach, which is one of the problems


def _sweep(path: str) -> int:
    """Plan every run, so that what could not work is known before hours of work."""
    from leaderboard.runner.job import Job

    runs = read_sweep(path)
    for suite, entry in runs:
        job = Job(suite, entry)
        job.check()
        say(f"{suite.protocol}: {entry.label}, {job.n} images")
    print(f"{len(runs)} runs")
    return 0
