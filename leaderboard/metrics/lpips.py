"""Perceptual distance to the image that the full cache draws: LPIPS, and what replaces it offline.

Zhang et al. 2018 (arXiv 1801.03924). Its weights come from torchvision and cannot come with this
project; ``judge-distance`` is the same formula over the layers of the embedded judge, without
calibrated weights per channel, and is not called LPIPS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard.extractors.judge import JudgeFeatures
from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor


@register
class Lpips(PerImage):
    """LPIPS with AlexNet, by torchmetrics."""

    name = "lpips"
    title = "LPIPS (AlexNet) to full cache"
    paper = "https://arxiv.org/abs/1801.03924"
    better = "lower"
    compares = True

    @property
    def uses(self) -> Extractor:
        from leaderboard.extractors.base import get_extractor

        return get_extractor("lpips-alex")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return context.network(self.uses).distance(batch.images, batch.full.images)


@register
class JudgeDistance(PerImage):
    """Squared distance of unit features per position, mean over positions and layers."""

    name = "judge-distance"
    title = "Perceptual distance (judge)"
    paper = "https://arxiv.org/abs/1801.03924"
    better = "lower"
    compares = True

    @property
    def uses(self) -> Extractor:
        return JudgeFeatures()

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return context.network(self.uses).distance(batch.images, batch.full.images)
