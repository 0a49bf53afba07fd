"""``python -m leaderboard work``: a worker, until Ctrl-C or the queue is empty."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from leaderboard.cli.shown import say
from leaderboard.store import open_store
from leaderboard.submissions.queue import Queue
from var_spaces import methods
from var_spaces.cli.arguments import Parser


def run(arguments: Sequence[str]) -> None:
    parser = Parser("work", "Work off the queue of a store.", program="leaderboard")
    parser.add_argument("--store", metavar="PLACE", help="folder or hf://datasets/OWNER/NAME")
    parser.add_argument("--once", action="store_true", help="end when the queue is empty")
    parser.add_argument("--name", metavar="NAME", help="of this worker")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, ...")
    parser.add_argument(
        "--suites", nargs="+", metavar="NAME", choices=methods.names("suite"), help="default: all"
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds for one attempt")
    parser.add_argument("--work", metavar="FOLDER", type=Path, help="of unfinished jobs")
    options = parser.read(arguments)
    from leaderboard.submissions.worker import Worker

    once = options.pop("once", False)
    queue = Queue(open_store(options.pop("store", None)))
    worker = Worker(queue, **options)
    if not once:
        worker.forever(Event())
    while (request := worker.once()) is not None:
        after = queue.get(request.id)
        told = after.reason or after.verdict
        say(f"{after.id} {after.state}: {after.label}. {told}", to=sys.stderr)
