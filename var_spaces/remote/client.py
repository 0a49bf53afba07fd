"""Asks the deployment of ``python -m var_spaces.serve`` for runs, and hands on their events."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import var_spaces
from var_spaces.errors import VarSpacesError
from var_spaces.remote.cluster import connect
from var_spaces.remote.order import APP, ENGINE, Ended, Order, Watched
from var_spaces.remote.patience import begun

if TYPE_CHECKING:
    from var_spaces.decoding.setup import Observer
    from var_spaces.events import Event
    from var_spaces.tasks.base import Pictures
    from var_spaces.tasks.plan import Plan

LOST = "The computer that drew this run is gone, and the run with it: please start it again."


class RayEngine:
    """A Ray Serve application that draws.

    Args:
        address: of the cluster; this process must run on one of its computers, which may offer no
            slots (``ray start --address HOST:PORT --num-cpus 0``).

    Raises:
        VarSpacesError: if no cluster answers there.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        connect(address)

    def stream(
        self, plan: Plan, pictures: Pictures, previews: bool, observe: Observer | None
    ) -> Iterator[Event]:
        """Events of a run; closing the iterator stops it there.

        Raises:
            VarSpacesError: at once, if nothing is deployed, or if the observer asks for more than
                can travel.
        """
        watched = () if observe is None else getattr(observe, "watches", None)
        if watched is None:
            raise VarSpacesError(
                "Observers of all intermediate results need the run in their own process: unset "
                "VAR_SPACES_ENGINE, or name a device."
            )
        order = Order(
            spec=plan.spec.to_json(),
            weights=plan.card.weights_sha256 or "",
            version=var_spaces.__version__,
            pictures=dict(pictures),
            previews=previews,
            watched=tuple(watched),
        )
        handle = self._handle().options(stream=True, multiplexed_model_id=plan.card.id)
        return _events(handle, order, observe)

    def _handle(self) -> Any:
        from ray import serve
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        connect(self.address)
        # What it says about every request is for the log of a server.
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        try:
            return serve.get_deployment_handle(ENGINE, APP)
        except (RayServeException, RayError, ConnectionError, KeyError):  # KeyError: no such name
            raise VarSpacesError(
                f"No engine is deployed on the cluster at {self.address}: start one with "
                f"python -m var_spaces.serve --address {self.address}"
            ) from None


def _events(handle: Any, order: Order, observe: Observer | None) -> Iterator[Event]:
    from ray.exceptions import RayError, TaskCancelledError
    from ray.serve.exceptions import RayServeException

    told = handle.draw.remote(order)
    done = False
    try:
        for event in begun(told):
            match event:
                case Watched(what, scale, tensor):
                    observe(what, scale, tensor)
                case Ended(message, refused):
                    done = True
                    raise VarSpacesError(message) if refused else RuntimeError(message)
                case _:
                    yield event
        done = True
    except TaskCancelledError:
        raise VarSpacesError(LOST) from None
    except (RayError, RayServeException):
        done = True
        raise VarSpacesError(LOST) from None
    finally:
        if not done:
            with suppress(Exception):  # nothing is left to stop
                told.cancel()
