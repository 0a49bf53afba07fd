"""PIE-Bench: 700 edits of ten kinds, with masks of what may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_direction import ClipDirection
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.pie_kept_psnr import PieKeptPsnr
from leaderboard.published_edits import pie_bench
from leaderboard.suites.published_edits import PublishedEdits
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.published_edits import Case


@register
class PieBench(PublishedEdits):
    """CLIP judges the edit, the masks what is kept; VAREdit's own judge, GPT-4o, is not open."""

    name = "pie-bench"
    title = "PIE-Bench, 700 edits"
    paper = "https://arxiv.org/abs/2310.01506"

    version = 1
    masks = True
    downloads = (
        "PIE-Bench_v1: mapping_file.json and annotation_images (cure-lab/PnPInversion)",
        "timm/vit_large_patch14_clip_224.openai",
        "a published editor; a GPU",
    )

    def cases(self) -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
        return pie_bench()

    def metrics(self) -> tuple[Metric, ...]:
        clip = "clip-vit-l-14"
        return (
            ClipScore(extractor=clip), ClipDirection(extractor=clip), PieKeptPsnr(), KvPeak(),
            Latency(),
        )  # fmt: skip
