"""Metrics that compare the features of drawn images with those of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from leaderboard.metrics.base import Batch, Context, Metric

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor


class Distribution(Metric):
    """Base class: ``measure`` gives the features ``(B, d)`` of its extractor."""

    needs_reference = True

    extractor: str = Field("judge", description="network whose features are compared")

    @property
    def uses(self) -> Extractor:
        from leaderboard.extractors.base import get_extractor

        return get_extractor(self.extractor)

    def heading(self, n: int) -> str:
        """N is in the title: a small one biases these numbers."""
        return f"{self.title} ({self.extractor}) N={n}"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return context.features(self.uses, batch.images)
