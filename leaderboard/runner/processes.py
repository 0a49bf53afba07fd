"""Who does what when several processes share a job.

Start them with torchrun (on a CPU too) or accelerate; hosts must see the same work folder. Batches
go round by number, so that every process has its own, and nobody else's, to do.

    torchrun --nproc_per_node 2 -m leaderboard run --suite smoke
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Processes:
    """This process among others.

    Attributes:
        rank, world: number of this process, and of all.
        device: where it works.
        wait: returns when all processes have come to the same place.
    """

    rank: int
    world: int
    device: torch.device
    wait: Callable[[], None]

    @property
    def main(self) -> bool:
        return self.rank == 0

    def mine(self, number: int) -> bool:
        """Whether a batch is this process's to do."""
        return number % self.world == self.rank


def processes(device: str | None = None) -> Processes:
    """This process and the others of its launch.

    Raises:
        VarSpacesError: for a device this machine lacks, or if the launch went wrong.
    """
    from var_spaces.zoo.placement import resolve

    place, world = resolve(device).main, int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Processes(0, 1, place, lambda: None)
    from accelerate import PartialState

    state = PartialState(cpu=place.type == "cpu")
    if state.num_processes != world:
        raise VarSpacesError(
            f"{world} processes were started but only {state.num_processes} found each other: "
            "start them with torchrun."
        )
    return Processes(state.process_index, world, state.device, state.wait_for_everyone)
