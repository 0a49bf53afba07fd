"""DreamBench: 30 subjects, 25 prompts, four images each (DreamBooth, arXiv 2208.12242)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.subject import (
    PriorLikeness,
    SubjectClipI,
    SubjectClipT,
    SubjectDino,
    SubjectDiversity,
)
from leaderboard.subjects import subject
from leaderboard.subjects.folders import dreambench_templates, dreambench_words
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.subject_items import Asked, Shown, items
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

EACH = 4


@register
class DreamBench(Suite):
    """The first picture of a subject is the reference; all of them are compared with."""

    name = "dreambench"
    title = "DreamBench, 30 subjects"
    paper = "https://arxiv.org/abs/2208.12242"

    version = 2
    task = "subject"
    downloads = (
        "dataset (google/dreambooth)",
        "timm/vit_small_patch16_224.dino and timm/vit_base_patch32_clip_224.openai",
        "alexnet-owt-7be5be79.pth (pytorch.org)",
        "a published subject model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        return items([_shown(name, word) for name, word in dreambench_words().items()])

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """Seeds of one prompt stand together, whatever size is asked for."""
        return list(grouped(self.items(), EACH))

    def metrics(self) -> tuple[Metric, ...]:
        dino, clip = "dino-vit-s-16", "clip-vit-b-32"
        return (
            SubjectDino(extractor=dino), SubjectClipI(extractor=clip),
            SubjectClipT(extractor=clip), PriorLikeness(extractor=dino),
            SubjectDiversity(extractor="lpips-alex"), KvPeak(), Latency(),
        )  # fmt: skip

    def pictures(self) -> Mapping[str, np.ndarray]:
        found = [subject(f"dreambench/{name}") for name in dreambench_words()]
        return {one.sha256: one.pictures[0] for one in found}


def _shown(name: str, word: str) -> Shown:
    prompts = [Asked(template) for template in dreambench_templates(word)]
    plain = Asked("a photo of a {}")
    return Shown(
        "dreambench", subject(f"dreambench/{name}"), prompts, plain, plain, EACH, variants=EACH
    )
