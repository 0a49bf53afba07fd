"""What a machine can do at most: copying memory and multiplying matrices, measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

HALVES = (torch.bfloat16, torch.float16)


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Median time of a call after one that does not count, the device's work included."""
    times = []
    for _ in range(repeats + 1):
        wait(device)
        started = time.perf_counter()
        call()
        wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ceilings(device: torch.device, tiny: bool = False) -> dict[str, float]:
    """Bytes per second of a copy (read and written), operations per second of products by type."""
    side, numbers = (256, 2**20) if tiny else (8192, 2**28)
    found = {"copy": 2 * 4 * numbers / _copying(numbers, device)}
    for dtype in (torch.float32, *HALVES):
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        name = str(dtype).removeprefix("torch.")
        found[name] = 2 * side**3 / seconds(lambda a=a, b=b: a @ b, device)
    return found


def _copying(numbers: int, device: torch.device) -> float:
    """Seconds to copy numbers of four bytes."""
    source = torch.zeros(numbers, device=device, dtype=torch.int32)
    target = torch.empty_like(source)
    return seconds(lambda: target.copy_(source), device)


def name(device: torch.device) -> str:
    """What the numbers were measured on."""
    from var_spaces.training.engine.export import device_name

    return f"{device_name(device)}, torch {torch.__version__}"
