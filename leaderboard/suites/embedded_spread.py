"""How much embedded class models vary, and how near they are to real scenes with few images."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.judged import ClassAccuracy, StyleAccuracy
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.mind import Mind
from leaderboard.references.atlas import AtlasScenes
from leaderboard.references.base import Reference
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.classes import STYLES, class_items
from var_spaces.methods import register
from var_spaces.training.data.index import CORE_64

EACH = 8


@register
class EmbeddedSpread(Suite):
    """Eight images of each of 64 things, each thing in one style: 512 in all. MIND compares them
    with scenes of all things in all styles."""

    name = "embedded-spread"
    title = "Diversity of embedded class models, 512 images"

    version = 2
    task = "generate"
    minutes = 2

    def items(self) -> Sequence[Item]:
        found: list[Item] = []
        for number, label in enumerate(CORE_64):
            style = STYLES[number % len(STYLES)]
            for item in class_items((label,), (style,), each=EACH):
                found.append(Item(len(found), item.inputs, item.facts))
        return found

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """All images of a thing together, whatever is asked for."""
        return list(grouped(self.items(), EACH))

    def metrics(self) -> tuple[Metric, ...]:
        return (Diversity(), Mind(), ClassAccuracy(), StyleAccuracy(), KvPeak(), Latency())

    def reference(self) -> Reference:
        return AtlasScenes(recipe="easy", split="all", count=4096)
