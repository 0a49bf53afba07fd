"""A first row in about a minute: 40 images of eight things."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.judged import ClassAccuracy, StyleAccuracy
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.token_agreement import TokenAgreement
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import class_items
from var_spaces.methods import register

CLASSES = ("red apple", "dog", "sunflower", "automobile", "house", "rocket", "fish", "key")


@register
class Smoke(Suite):
    """Does everything work, and roughly how well? Too few images for a Frechet distance."""

    name = "smoke"
    title = "Smoke test, 40 images"

    version = 1
    task = "generate"
    minutes = 1
    against_full = True

    def items(self) -> Sequence[Item]:
        return class_items(CLASSES)

    def metrics(self) -> tuple[Metric, ...]:
        return (
            ClassAccuracy(), StyleAccuracy(), TokenAgreement(), Psnr(), KvPeak(), Latency(),
        )  # fmt: skip
