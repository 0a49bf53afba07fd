"""Emu Edit: the test split of its benchmark, edits with captions before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_direction import ClipDirection
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.published_edits import emu_edit
from leaderboard.suites.published_edits import PublishedEdits
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.published_edits import Case


@register
class EmuEdit(PublishedEdits):
    """CLIP against the caption of the target (CLIP-out) and along the change of captions
    (CLIP-dir), as the authors; VAREdit's own judge, GPT-4o, is not open."""

    name = "emu-edit"
    title = "Emu Edit, test split"
    paper = "https://arxiv.org/abs/2311.10089"

    version = 1
    downloads = (
        "data/test-*.parquet (dataset facebook/emu_edit_test_set)",
        "timm/vit_base_patch32_clip_224.openai",
        "a published editor; a GPU",
    )

    def cases(self) -> tuple[Sequence[Case], Mapping[str, np.ndarray]]:
        return emu_edit()

    def metrics(self) -> tuple[Metric, ...]:
        clip = "clip-vit-b-32"
        return ClipScore(extractor=clip), ClipDirection(extractor=clip), KvPeak(), Latency()
