"""``python -m leaderboard validate``: is a sweep file, or the store, sound?"""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.store import open_store, reading_stores
from leaderboard.sweep import read_sweep
from var_spaces.cli.arguments import Parser


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
        found = store.problems()
        problems += len(found)
        print(*found, sep="\n", end="\n" if found else "")
        print(f"{store.backend}: {len(store.rows())} results, {len(found)} problems")
    if "reindex" in options:
        print(f"index of {open_store(options.get('store')).reindex()} results written")
    return 1 if problems else 0


def _sweep(path: str) -> int:
    """Plan every run, so that what could not work is known before hours of work."""
    from leaderboard.runner.job import Job

    runs = read_sweep(path)
    for suite, entry in runs:
        job = Job(suite, entry)
        job.check()
        print(f"{suite.protocol}: {entry.label}, {job.n} images")
    print(f"{len(runs)} runs")
    return 0
