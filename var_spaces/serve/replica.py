"""The deployment: replicas that each hold a device, its models and a line of requests.

Serve sends a request to a replica that has its model, if one is not too busy; which models stay in
memory is for the zoo to say (``zoo/residency.py``), whose budget is that of one process.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ray import serve

import var_spaces
from var_spaces.errors import VarSpacesError
from var_spaces.remote.order import ENGINE, Ended, Order, Watched

if TYPE_CHECKING:
    from var_spaces.tasks.prepare import Request

log = logging.getLogger(__name__)

MODELS = 16  # that Serve remembers of a replica, to send their requests there
BATCHES = 2  # at a replica: the one that it draws and the next; who comes later goes to another


@dataclass(frozen=True)
class Size:
    """How much of a cluster the deployment takes.

    Attributes:
        fewest, most: replicas; between them Serve follows the load.
        images: that a replica draws together.
        cpus, gpus: slots of a replica.
    """

    fewest: int = 1
    most: int = 1
    images: int = 8
    cpus: float = 1
    gpus: float = 0


class Replica:
    """Draws orders; see :class:`var_spaces.remote.order.Order`."""

    def __init__(self, settings: Mapping[str, str], images: int, device: str) -> None:
        os.environ.update(settings)  # before the zoo reads them
        from var_spaces.serve.batcher import Batcher
        from var_spaces.zoo.placement import resolve
        from var_spaces.zoo.residency import ZOO

        self.device = resolve(device)
        self.batcher = Batcher(ZOO, self.device, images)

    @serve.multiplexed(max_num_models_per_replica=MODELS)
    async def held(self, model: str) -> str:
        """Load a model, once; Serve remembers who has it."""
        from var_spaces.zoo.residency import ZOO

        await asyncio.to_thread(ZOO.model, model, self.device)
        return model

    async def draw(self, order: Order) -> AsyncIterator[Any]:
        """Events of a run. Whoever stops listening frees its rows."""
        told: asyncio.Queue[Any] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Any) -> None:
            loop.call_soon_threadsafe(told.put_nowait, event)

        try:
            request = await asyncio.to_thread(_request, order, tell)
            await self.held(request.plan.card.id)
        except Exception as error:
            yield _ended(error)
            return
        ticket = self.batcher.submit(request, tell)
        try:
            while (event := await told.get()) is not None:
                yield _ended(event) if isinstance(event, Exception) else _portable(event)
        finally:
            ticket.leave()

    def check_health(self) -> None:
        """Serve replaces a replica that cannot draw."""
        if not self.batcher.alive:
            raise RuntimeError("The thread that draws has ended.")


def _request(order: Order, tell: Any) -> Request:
    """The run of an order, checked as if it came from anywhere.

    Raises:
        VarSpacesError: if it cannot run here, or would be another one.
    """
    from var_spaces.spec import RunSpec
    from var_spaces.tasks.plan import plan
    from var_spaces.tasks.prepare import Request

    planned = plan(RunSpec.from_json(order.spec))
    if order.version != var_spaces.__version__ or order.weights not in (
        "",
        planned.card.weights_sha256,
    ):
        raise VarSpacesError(
            "The engine has other weights or another version of the program than the page: install "
            "the same on all computers."
        )

    def observe(what: str, scale: int, tensor: Any) -> None:
        if what in order.watched:
            tell(Watched(what, scale, tensor.cpu()))

    pictures = planned.read_pictures(order.pictures)
    return Request(planned, pictures, order.previews, observe if order.watched else None)


def _ended(error: Exception) -> Ended:
    if isinstance(error, VarSpacesError):
        return Ended(str(error), refused=True)
    log.error("A run failed.", exc_info=error)
    return Ended(f"{type(error).__name__} on a replica; its log says more.", refused=False)


def _portable(event: Any) -> Any:
    """The same event without anything that lives on a device of this computer."""
    ids = getattr(event, "ids", None)
    return event if ids is None or isinstance(ids, list) else replace(event, ids=ids.cpu())


def application(size: Size, settings: Mapping[str, str]) -> serve.Application:
    """The application that ``serve.run`` deploys."""
    options: dict[str, Any] = {"num_replicas": size.most}
    if size.fewest < size.most:
        options = {
            "autoscaling_config": {
                "min_replicas": size.fewest,
                "max_replicas": size.most,
                "target_ongoing_requests": size.images,
            }
        }
    deployed = serve.deployment(
        Replica,
        name=ENGINE,
        ray_actor_options={"num_cpus": size.cpus, "num_gpus": size.gpus},
        max_ongoing_requests=size.images * BATCHES,
        health_check_period_s=5,
        health_check_timeout_s=30,
        graceful_shutdown_timeout_s=5,
        **options,
    )
    return deployed.bind(dict(settings), size.images, "cuda" if size.gpus else "cpu")
