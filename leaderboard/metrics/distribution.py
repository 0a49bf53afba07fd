"""Metrics that compare the features of drawn images with those of real ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from leaderboard.metrics.base import Batch, Context, Value
from leaderboard.metrics.looking import Looking
from leaderboard.references.base import need_enough

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.references.base import RealFeatures


class Distribution(Looking):
    """Base class: ``measure`` gives the features ``(B, d)`` of its extractor.

    Attributes:
        by_points: real images count one by one; else their mean and covariance do, which may be
            published without them.
    """

    told = False
    by_points: ClassVar[bool] = True

    needs_reference = True

    extractor: str = Field("judge", description="network whose features are compared")

    def heading(self, n: int) -> str:
        """N is in the title: a small one biases these numbers."""
        return f"{self.title} ({self.extractor}) N={n}"

    def check(self, n: int) -> None:
        """Two images at least.

        Raises:
            VarSpacesError: for fewer.
        """
        need_enough(n, "drawn")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return context.features(self.uses, batch.images)

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        """One number of two sets.

        Raises:
            VarSpacesError: if one of them has fewer than two images.
        """
        self.check(len(values))
        if self.needs_reference and self.by_points:
            need_enough(len(real.features), "real")
        return self.compare(values, real)

    @abstractmethod
    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        """:meth:`score` of sets ``(N, d)`` and ``(M, d)`` of two images or more each."""
