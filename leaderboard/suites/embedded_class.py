"""Quality of embedded class models: every class in every style against rendered scenes."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.codebook_use import CodebookUse
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.judged import ClassAccuracy, StyleAccuracy
from leaderboard.metrics.kid import Kid
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.precision_recall import Precision, Recall
from leaderboard.references.atlas import AtlasScenes
from leaderboard.references.base import Reference
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import class_items
from var_spaces.methods import register
from var_spaces.training.data.index import CORE_64


@register
class EmbeddedClass(Suite):
    """Two images of each of the 320 (class, style) pairs, 640 in all."""

    name = "embedded-class"
    title = "Embedded class models, 640 images"

    version = 2
    task = "generate"
    minutes = 3

    def items(self) -> Sequence[Item]:
        return class_items(CORE_64, each=2)

    def metrics(self) -> tuple[Metric, ...]:
        return (
            Frechet(), Frechet(extractor="embedded-clip"), Kid(subsets=100, subset_size=320),
            Precision(), Recall(), Cmmd(), ClipScore(), ClassAccuracy(), StyleAccuracy(),
            CodebookUse(), KvPeak(), Latency(),
        )  # fmt: skip

    def reference(self) -> Reference:
        return AtlasScenes(recipe="easy", split="all", count=4096)
