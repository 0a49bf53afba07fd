"""ViCo's subjects, 31 prompts, eight images each: the protocol of ARBooth (arXiv 2504.02612)."""

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
from leaderboard.subjects.folders import VICO_WORDS, vico_templates
from leaderboard.suites.base import Suite, grouped
from leaderboard.suites.subject_items import Asked, Shown, items
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

SEEDS, PRIORS = 8, 100


@register
class ViCo(Suite):
    """As published, DINO sees 256 px that are not normalised, and CLIP-T compares with prompts
    whose place for the subject is left open; the usual numbers stand beside them."""

    name = "vico"
    title = "ViCo, 16 subjects"
    paper = "https://arxiv.org/abs/2504.02612"

    version = 1
    task = "subject"
    downloads = (
        "inputs and prompts (cvlab-kaist/DreamMatcher, haoosz/ViCo)",
        "timm/vit_small_patch16_224.dino and timm/vit_base_patch32_clip_224.openai",
        "alexnet-owt-7be5be79.pth (pytorch.org)",
        "a published subject model; a GPU",
    )

    def items(self) -> Sequence[Item]:
        return items([_shown(name, word) for name, word in VICO_WORDS.items()])

    def batches(self, size: int) -> Sequence[tuple[Item, ...]]:
        """Seeds of one prompt stand together, whatever size is asked for."""
        return list(grouped(self.items(), SEEDS))

    def metrics(self) -> tuple[Metric, ...]:
        plain, dino, clip = "dino-vit-s-16-plain", "dino-vit-s-16", "clip-vit-b-32"
        return (
            SubjectDino(extractor=plain), SubjectDino(extractor=dino),
            SubjectClipI(extractor=clip), SubjectClipT(extractor=clip, unfilled=True),
            SubjectClipT(extractor=clip), PriorLikeness(extractor=plain),
            PriorLikeness(extractor=dino), SubjectDiversity(extractor="lpips-alex"), KvPeak(),
            Latency(),
        )  # fmt: skip

    def pictures(self) -> Mapping[str, np.ndarray]:
        found = [subject(f"vico/{name}") for name in VICO_WORDS]
        return {one.sha256: one.pictures[0] for one in found}


def _shown(name: str, word: str) -> Shown:
    prompts = [Asked(template) for template in vico_templates(word)]
    plain = Asked("a photo of {}")
    return Shown(
        "vico", subject(f"vico/{name}"), prompts, plain, plain, SEEDS, PRIORS, variants=SEEDS
    )
