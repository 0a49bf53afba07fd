"""``python -m leaderboard submit``: put requests into the queue of a store.

The flags are those of ``run``; a sweep file submits many. ``--result ID`` submits a result of the
local store, measured here, to be verified and added there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leaderboard.cli.run import read_jobs
from leaderboard.cli.shown import say
from leaderboard.entry import Entry
from leaderboard.store import open_store, reading_stores
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from var_spaces.cli.arguments import Parser
from var_spaces.errors import VarSpacesError


def run(arguments: Sequence[str]) -> None:
    if any(argument.split("=")[0] == "--result" for argument in arguments):
        _tell([_submit_result(arguments)])
        return
    jobs, options = read_jobs("submit", "Submit an entry (see also: --result ID).", arguments)
    queue = Queue(open_store(options.get("store")))
    _tell([queue.submit(job.suite.name, job.entry, **_who(options)) for job in jobs])


def _submit_result(arguments: Sequence[str]) -> Request:
    parser = Parser("submit", "Submit a result that was measured here.", program="leaderboard")
    parser.add_argument("--result", required=True, metavar="ID", help="of the local store")
    parser.add_argument("--local", metavar="FOLDER", help="the local store")
    parser.add_argument("--store", metavar="PLACE", help="where to submit it")
    parser.add_argument("--submitter", metavar="NAME", help="who ran it")
    parser.add_argument("--note", metavar="TEXT", help="kept with the request")
    options = parser.read(arguments)
    result, samples = find(options["result"], options.get("local"))
    return Queue(open_store(options.get("store"))).submit(
        result.suite, Entry(**result.entry), claim=(result, samples), **_who(options)
    )


def find(id: str, place: str | None) -> tuple[Any, Any]:
    """A result of the readable stores and its samples.

    Raises:
        VarSpacesError: if there is none.
    """
    refusal = None
    for store in reversed(reading_stores(place)):
        try:
            result = store.result(id)
        except VarSpacesError as error:
            refusal = refusal or error
            continue
        return result, store.samples(result)
    raise refusal


def _who(options: dict[str, Any]) -> dict[str, str]:
    return {key: options[key] for key in ("submitter", "note") if key in options}


def _tell(requests: Sequence[Request]) -> None:
    for request in requests:
        say(f"request {request.id} is {request.state}: {request.label}")
    print("See its state: python -m leaderboard requests. A worker: python -m leaderboard work")
