"""Metrics that compare the features of drawn images with those of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.looking import Looking

if TYPE_CHECKING:
    import numpy as np


class Distribution(Looking):
    """Base class: ``measure`` gives the features ``(B, d)`` of its extractor."""

    told = False

    needs_reference = True

    extractor: str = Field("judge", description="network whose features are compared")

    def heading(self, n: int) -> str:
        """N is in the title: a small one biases these numbers."""
        return f"{self.title} ({self.extractor}) N={n}"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return context.features(self.uses, batch.images)
