"""Share of images whose class and style the embedded judge names right.

The judge was trained apart from all generators, on sprites; its own accuracy on real pictures is in
its card (1.00 for classes, 0.997 for styles).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.extractors.judge import JudgeFeatures
from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.extractors.base import Extractor


class Judged(PerImage):
    """Base class of both."""

    better = "higher"

    @property
    def uses(self) -> Extractor:
        return JudgeFeatures()

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        (fact,) = self.facts
        classes, styles = context.network(self.uses).names(batch.images)
        seen = {"class": classes, "style": styles}[fact]
        right = [item.facts[fact] == name for item, name in zip(batch.items, seen, strict=True)]
        return np.array(right, np.float64)


@register
class ClassAccuracy(Judged):
    """0..1."""

    name = "class-accuracy"
    title = "Class accuracy"
    facts = ("class",)


@register
class StyleAccuracy(Judged):
    """0..1."""

    name = "style-accuracy"
    title = "Style accuracy"
    facts = ("style",)
