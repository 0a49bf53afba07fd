"""A suite for the tiny models: eight images, every kind of metric that needs no network."""

from __future__ import annotations

from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.ssim import Ssim
from leaderboard.metrics.token_agreement import TokenAgreement
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import class_items
from var_spaces.methods import register


@register
class TinySuite(Suite):
    name = "tiny"
    title = "Tiny"

    version = 1
    task = "generate"
    against_full = True

    def items(self):
        return class_items(("key", "banana"), ("soft", "drawn"), each=2)

    def metrics(self):
        return (TokenAgreement(), Psnr(), Ssim(), KvPeak(), KvHistory(), Latency())
