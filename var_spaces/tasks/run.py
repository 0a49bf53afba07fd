"""From a planned run to its events: loads the models, drives the scale loop, writes the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from var_spaces.decoding.setup import Observer
from var_spaces.errors import VarSpacesError
from var_spaces.events import Event
from var_spaces.tasks.base import Pictures
from var_spaces.tasks.plan import Plan
from var_spaces.tasks.prepare import Request
from var_spaces.tasks.together import together
from var_spaces.zoo.residency import Residency

if TYPE_CHECKING:
    import torch


def run(
    plan: Plan,
    zoo: Residency,
    *,
    pictures: Pictures,
    previews: bool = False,
    device: str | torch.device | None = None,
    observe: Observer | None = None,
) -> Iterator[Event]:
    """Events of a run: ``Started``, a ``ScaleDone`` per scale, an ``ImageReady`` per image,
    ``Finished``. Closing the generator frees what the run held; models stay in the zoo, and cannot
    leave it while the run lasts."""
    request = Request(plan, pictures, previews, observe)
    with closing(together([request], zoo, device)) as events:
        for _, event in events:
            if isinstance(event, VarSpacesError):
                raise event
            yield event
