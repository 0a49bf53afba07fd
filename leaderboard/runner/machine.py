"""The machine and the program that draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from var_spaces.record import Environment


def environment(device: torch.device) -> Environment:
    """This machine."""
    import torch

    from var_spaces.record import Environment, cpu_name
    from var_spaces.zoo.environment import shared_batches

    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else f"cpu: {cpu_name()}"
    return Environment.current(name + shared_batches(device), torch.get_num_threads())
