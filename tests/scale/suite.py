"""The first 64 images of the suite ``embedded-class``, with what needs no reference."""

from __future__ import annotations

from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.codebook_use import CodebookUse
from leaderboard.metrics.judged import ClassAccuracy
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.suites.base import Suite, get_suite
from var_spaces.methods import register


@register
class EmbeddedClass64(Suite):
    name = "embedded-class-64"
    title = "Embedded class models, 64 images"

    version = 1
    task = "generate"

    def items(self):
        return get_suite("embedded-class").items()[:64]

    def metrics(self):
        return (ClipScore(), ClassAccuracy(), CodebookUse(), KvPeak(), Latency())
