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
    PromptDiversity,
    SubjectClipI,
    SubjectClipT,
    SubjectDino,
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
    """As published, every network sees pictures squashed to 256 px, DINO without normalisation;
    CLIP-T compares with prompts whose place for the subject is left open, and diversity is that of
    the seeds of every prompt. The usual numbers stand beside them."""

    name = "vico"
    title = "ViCo, 16 subjects"
    paper = "https://arxiv.org/abs/2504.02612"

    version = 3
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
        dino, clip = "dino-vit-s-16", "clip-vit-b-32"
        return (
            SubjectDino(extractor=f"{dino}-plain"), SubjectDino(extractor=dino),
            SubjectClipI(extractor=f"{clip}-plain"), SubjectClipI(extractor=clip),
            SubjectClipT(extractor=f"{clip}-plain", unfilled=True), SubjectClipT(extractor=clip),
            PriorLikeness(extractor=f"{dino}-plain"), PriorLikeness(extractor=dino),
            PromptDiversity(extractor="lpips-alex-256"), KvPeak(), Latency(),
        )  # fmt: skip

    def pictures(self) -> Mapping[str, np.ndarray]:
        found = [subject(f"vico/{name}") for name in VICO_WORDS]
        return {one.sha256: one.pictures[0] for one in found}


def _shown(name: str, word: str) -> Shown:
    prompts = [Asked(template) for template in vico_templates(word)]
    alone = Asked("a photo of {}")
    return Shown("vico", subject(f"vico/{name}"), prompts, prior=alone, seeds=SEEDS, priors=PRIORS)
