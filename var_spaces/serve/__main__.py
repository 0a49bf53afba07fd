"""``python -m var_spaces.serve``: deploys the engine on a cluster, and stays until it is stopped.

A page then draws there: VAR_SPACES_ENGINE=ray://HOST:PORT python app.py
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

from var_spaces.cli.arguments import Parser
from var_spaces.console import reporting
from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    from var_spaces.serve.replica import Size

MOST = 10_000  # of anything


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 stopped, 2 refused."""
    return reporting(lambda: _run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: Sequence[str]) -> None:
    given = _parser().read(arguments)
    address = given.get("address")
    from var_spaces.remote.cluster import connect

    ray = connect(address)
    from ray import serve

    size = _size(given, ray.cluster_resources())
    deploy(size)
    place = ray.get_runtime_context().gcs_address
    print(f"The engine is ready; a page draws there with VAR_SPACES_ENGINE=ray://{place}")
    sys.stdout.flush()
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    from var_spaces.remote.order import APP

    serve.delete(APP)


def deploy(size: Size) -> None:
    """Deploy the engine on the cluster that this process is connected to, and wait for it.

    It listens on no port: pages ask it through Ray.
    """
    from ray import serve

    from var_spaces.remote.cluster import settings
    from var_spaces.remote.order import APP
    from var_spaces.serve.replica import application

    serve.start(proxy_location="Disabled")
    serve.run(application(size, settings()), name=APP, route_prefix=None)


def _parser() -> Parser:
    parser = Parser("", __doc__.splitlines()[0].partition(": ")[2], program="var_spaces.serve")
    add = parser.add_argument
    add("--address", metavar="HOST:PORT", help="of a Ray cluster; else one starts here")
    add("--replicas", metavar="N or N-M", help="how many draw; up to M as needed (1)")
    add("--images", metavar="N", type=int, help="that a replica draws together (8)")
    add("--cpus", metavar="N", type=float, help="CPU slots of a replica (1)")
    add("--gpus", metavar="N", type=float, help="GPUs of a replica (1 if there are any)")
    return parser


def _size(given: dict[str, Any], resources: dict[str, float]) -> Size:
    """What is deployed.

    Raises:
        VarSpacesError: if it is no size, or does not fit the cluster.
    """
    from var_spaces.serve.replica import Size

    text = given.get("replicas", "1")
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    fewest, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= fewest <= most <= MOST:
        raise VarSpacesError(f"--replicas is '{text[:40]}': give a number from 1 up, or 1-4.")
    gpus = given.get("gpus", 1.0 if resources.get("GPU") else 0.0)
    size = Size(fewest, most, given.get("images", Size.images), given.get("cpus", Size.cpus), gpus)
    for name, value in (("images", size.images), ("cpus", size.cpus)):
        if not 0 < value <= MOST:
            raise VarSpacesError(f"--{name} is {value:g}: give a number above 0.")
    for name, each in (("CPU", size.cpus), ("GPU", size.gpus)):
        there = resources.get(name, 0)
        if size.fewest * each > there:
            raise VarSpacesError(
                f"{size.fewest} replicas need {size.fewest * each:g} {name} slots, the cluster has "
                f"{there:g}: ask for fewer, or add computers (ray start --address HOST:PORT)."
            )
    return size


if __name__ == "__main__":
    sys.exit(main())
