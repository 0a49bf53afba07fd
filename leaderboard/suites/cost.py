"""Time and memory: single images for latency, batches of eight for throughput."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.machine import PeakMemory, Throughput
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import numbered_items
from var_spaces.methods import register

SINGLES, BATCHES, SIZE = 16, 4, 8


@register
class CostSuite(Suite):
    """16 images alone, then 4 batches of 8, after three warm-ups in every process."""

    name = "cost"
    title = "Time and memory"

    version = 1
    task = "generate"
    minutes = 0.5

    def items(self) -> Sequence[Item]:
        return [*numbered_items(range(SINGLES)), *_batched()]

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """Fixed sizes, whatever is asked for."""
        items = self.items()
        starts = range(SINGLES, len(items), SIZE)
        return [(item,) for item in items[:SINGLES]] + [tuple(items[s : s + SIZE]) for s in starts]

    def metrics(self) -> tuple[Metric, ...]:
        return (KvPeak(), KvHistory(), Latency(), Throughput(), PeakMemory())


def _batched() -> list[Item]:
    """Images of batches, which must be of one class."""
    return [Item(SINGLES + number, {"class": number // SIZE}) for number in range(BATCHES * SIZE)]
