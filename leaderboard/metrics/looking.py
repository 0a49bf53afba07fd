"""Metrics that look at images through a network of one's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.metrics.base import Metric

if TYPE_CHECKING:
    from leaderboard.extractors.base import Extractor


class Looking(Metric):
    """Base class; a subclass gives ``extractor`` its default.

    Attributes:
        told: whether the title of the column names the extractor.
    """

    told: ClassVar[bool] = True

    extractor: str

    @property
    def uses(self) -> Extractor:
        from leaderboard.extractors.base import get_extractor

        return get_extractor(self.extractor)

    @property
    def short(self) -> str:
        return f"{self.title}, {self.uses.title}" if self.told else self.title
