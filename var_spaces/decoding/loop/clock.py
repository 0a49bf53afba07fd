"""What a scale took and how certain it was, without waiting for the device that computes it.

A GPU is given one scale after the other; its own events tell the time, and numbers travel to the
host behind the work. Whoever reads a number waits for that scale and for nothing that follows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from var_spaces.events import Measured


class Clock(Protocol):
    """Measures scale after scale."""

    def start(self) -> None:
        """A scale begins."""
        ...

    def stop(self) -> None:
        """It ends."""
        ...

    def measured(self, entropies: Tensor) -> Measured:
        """Of the scale that ended last; ``entropies`` are those of some rows, on the device."""
        ...


def clock_of(device: torch.device) -> Clock:
    """The clock for work on a device."""
    return DeviceClock() if device.type == "cuda" else HostClock()


class HostClock:
    """Where work is done when a call returns."""

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self) -> None:
        self._seconds = time.perf_counter() - self._started

    def measured(self, entropies: Tensor) -> Measured:
        return Known(self._seconds, float(entropies.double().mean()))


@dataclass(frozen=True)
class Known:
    """Numbers that are there."""

    seconds: float
    entropy: float
    ready: bool = True


class DeviceClock:
    """Where a call returns before its work is done: CUDA.

    Args:
        event: makes an event of the device that tells the time.
        pinned: whether the host's memory takes numbers while the host goes on.
    """

    def __init__(
        self,
        event: Callable[[], Any] = lambda: torch.cuda.Event(enable_timing=True),
        pinned: bool = True,
    ) -> None:
        self._event, self._pinned = event, pinned

    def start(self) -> None:
        self._began = self._now()

    def stop(self) -> None:
        self._ended = self._now()

    def measured(self, entropies: Tensor) -> Measured:
        numbers = torch.empty(len(entropies), dtype=torch.float32, pin_memory=self._pinned)
        numbers.copy_(entropies, non_blocking=True)
        return Coming(self._began, self._ended, self._now(), numbers)

    def _now(self) -> Any:
        event = self._event()
        event.record()
        return event


class Coming:
    """Numbers that are on their way; they are there when ``there`` has come."""

    def __init__(self, began: Any, ended: Any, there: Any, numbers: Tensor) -> None:
        self._began, self._ended, self._there, self._numbers = began, ended, there, numbers

    def __reduce__(self) -> tuple[Any, ...]:
        return Known, (self.seconds, self.entropy)  # what another process gets

    @property
    def ready(self) -> bool:
        return self._there.query()

    @cached_property
    def seconds(self) -> float:
        self._ended.synchronize()
        return self._began.elapsed_time(self._ended) / 1000

    @cached_property
    def entropy(self) -> float:
        self._there.synchronize()
        return float(self._numbers.double().mean())
