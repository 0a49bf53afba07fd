"""CLIP score: how well image and caption fit.

Hessel et al. 2021 (arXiv 2104.08718), on the scale that most papers report: 100 times the cosine,
not below 0, no prefix; or as that paper has it (section 3), 2.5 times the cosine of captions with a
prefix.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.looking import Looking
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

PREFIX, WEIGHT = "A photo depicts", 2.5


@register
class ClipScore(PerImage, Looking):
    """0..100, or 0..2.5 as published."""

    name = "clip-score"
    title = "CLIP score (100 cos)"
    paper = "https://arxiv.org/abs/2104.08718"
    better = "higher"
    facts = ("caption",)

    extractor: str = Field("embedded-clip", description="a CLIP; ViT-B/32 where it is published")
    published: bool = Field(
        False,
        description=f"{WEIGHT} times the cosine, captions begin with '{PREFIX}'",
        json_schema_extra={"later": True},
    )

    @property
    def short(self) -> str:
        return f"CLIPScore ({WEIGHT} cos), {self.uses.title}" if self.published else super().short

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        captions = [item.facts["caption"] for item in batch.items]
        if self.published:
            captions = [f"{PREFIX} {caption}" for caption in captions]
        images = context.features(self.uses, batch.images)
        texts = context.network(self.uses).texts(captions)
        return (WEIGHT if self.published else 100) * cosines(images, texts).clip(0)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of every row of ``a`` with the same row of ``b``, float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / lengths
