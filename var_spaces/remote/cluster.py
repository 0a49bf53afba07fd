"""The connection of this process to a Ray cluster."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from var_spaces.errors import NotHere, VarSpacesError
from var_spaces.remote.address import ENGINE_VARIABLE

FEWEST = 2  # CPU slots: an actor and Ray's own tasks; with one both would wait for ever
OURS = ("VAR_SPACES_", "HF_")  # settings that actors take over


def connect(address: str | None) -> Any:
    """Ray, connected; a connection that was there stays.

    Args:
        address: of a cluster, ``host:port`` or ``auto``; None starts one on this machine.

    Raises:
        VarSpacesError: if Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError:
        raise NotHere(
            "The engine 'ray' needs a package: pip install 'var-spaces[scale]'."
        ) from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if not ray.is_initialized():
        more = {} if address else {"num_cpus": max(FEWEST, os.cpu_count() or 1)}
        try:
            ray.init(
                address=address, include_dashboard=None if address else False, log_to_driver=False,
                logging_level="ERROR", **more,
            )  # fmt: skip
        except Exception as error:  # Ray raises what is no more than an Exception, too
            reason = " ".join(str(error).split())[:200]
            what = f"answers at {address}" if address else "could be started here"
            raise VarSpacesError(f"No Ray cluster {what}: {reason}") from None
    return ray


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray, connected for as long as it is needed; a connection that was there stays.

    Raises:
        VarSpacesError: as :func:`connect`.
    """
    before = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    ray = connect(address)
    try:
        yield ray
    finally:
        if not before:
            ray.shutdown()


def settings() -> dict[str, str]:
    """Settings of this process that hold for whoever works for it."""
    names = (name for name in os.environ if name.startswith(OURS) and name != ENGINE_VARIABLE)
    return {name: os.environ[name] for name in names}
