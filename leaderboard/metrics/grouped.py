"""Metrics whose score is the plain mean over groups of prompts, each the mean of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.metrics.base import Metric, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from leaderboard.metrics.base import Batch
    from leaderboard.references.base import RealFeatures

NO_GROUP = -1  # position of an image that does not count: results hold finite numbers only


class Grouped(Metric):
    """Base class: ``measure`` gives ``(B, 2)``, a number and the position of its group.

    Attributes:
        groups: names of all groups, in a fixed order; an item's fact "group" is one of them.
        scale: of the score.
    """

    groups: ClassVar[tuple[str, ...]]
    scale: ClassVar[float] = 1.0
    facts = ("group",)

    def with_groups(self, batch: Batch, numbers: Sequence[float]) -> np.ndarray:
        """``(B, 2)`` from one number per image."""
        import numpy as np

        positions = [self.groups.index(item.facts["group"]) for item in batch.items]
        return np.column_stack([np.asarray(numbers, np.float64), positions])

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        import numpy as np

        from leaderboard.metrics.bootstrap import grouped_interval

        parts = {
            name: values[values[:, 1] == position, 0] * self.scale
            for position, name in enumerate(self.groups)
        }
        parts = {name: part for name, part in parts.items() if len(part)}
        low, high = grouped_interval(list(parts.values()))
        found = {name: float(part.mean()) for name, part in parts.items()}
        return Value(float(np.mean(list(found.values()))), low, high, found)
