"""The command line of the leaderboard: ``python -m leaderboard COMMAND``."""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces.cli.dispatch import run_command

COMMANDS = {
    "list": "list suites, metrics, or the results in the store",
    "submit": "put an entry, or a result measured elsewhere, into the queue",
    "requests": "list what was submitted, with its state",
    "work": "work off the queue: run, verify, add to the table",
    "compare": "two results, with bootstrap intervals of their difference",
    "export": "write results as CSV, JSON or .eval_results YAML of a Hub model",
    "reproduce": "our command, our number and their number for a row of a paper",
    "learn": "learn every picture of a suite of styles, as one model that can be run",
    "validate": "check that the store, or a sweep file, is sound",
    "verify": "run a part of a result again and stamp it",
    "run": "run a suite, or a file of many runs, and add the results to the store",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 1 a mismatch was found, 2 refused."""
    return run_command("leaderboard", "leaderboard.cli", COMMANDS, arguments)
