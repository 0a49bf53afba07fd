"""ImgEdit-Bench, its basic part: 737 edits of nine kinds, rated by the authors' open judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.metrics.base import Metric
from leaderboard.metrics.imgedit import ImgEditScore
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.published_edits import imgedit
from leaderboard.suites.published_edits import PublishedEdits
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.published_edits import Case


@register
class ImgEdit(PublishedEdits):
    """Published tables are rated by GPT-4o, which is closed; ImgEdit-Judge is the authors' own
    substitute, and another number."""

    name = "imgedit"
    title = "ImgEdit-Bench, 737 edits"
    paper = "https://arxiv.org/abs/2505.20275"

    version = 1
    downloads = (
        "Benchmark.tar, unpacked, and ImgEdit_Judge (dataset sysuyy/ImgEdit)",
        "a published editor; a GPU",
    )

    def cases(self) -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
        return imgedit()

    def metrics(self) -> tuple[Metric, ...]:
        return ImgEditScore(), KvPeak(), Latency()
