"""A suite that the tiny models of the page can draw."""

from __future__ import annotations

from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.psnr import Psnr
from leaderboard.suites.base import Suite
from leaderboard.suites.classes import class_items
from tests.ui.models import CLASSES, STYLES
from var_spaces.methods import register


@register
class TinyPage(Suite):
    name = "tiny-page"
    title = "Tiny page suite"

    version = 1
    task = "generate"
    against_full = True

    def items(self):
        return class_items(CLASSES[:2], STYLES)

    def metrics(self):
        return (Psnr(), KvPeak())
