"""Human preference score: would people choose this image for its prompt?

Wu et al. 2023 (arXiv 2306.09341): 100 times the cosine of image and prompt under a CLIP that was
tuned on choices of people, mean over the prompts of a style, then over styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.clip_score import cosines
from leaderboard.metrics.grouped import Grouped
from leaderboard.metrics.looking import Looking
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class Hps(Grouped, Looking):
    """About 20 to 35, plain mean of the four styles of the benchmark; each style is a detail."""

    told = False

    name = "hps"
    title = "HPS v2.1"
    paper = "https://arxiv.org/abs/2306.09341"
    better = "higher"
    facts = ("group", "caption")
    groups = ("anime", "concept-art", "paintings", "photo")

    extractor: str = Field("hps-v2-1", description="a CLIP tuned on choices")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        images = context.features(self.uses, batch.images)
        texts = context.network(self.uses).texts([item.facts["caption"] for item in batch.items])
        return self.with_groups(batch, 100 * cosines(images, texts))
