"""Two results side by side: does the difference mean something?

Scores of equal metric are compared. Where both results kept numbers per image, the same images of
the same noise stand in pairs, and the difference has a paired bootstrap interval; else there is
only the difference of the two values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboard.result import Result, Samples, Score
from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Difference:
    """B minus A in one metric.

    Attributes:
        low, high: 95 % interval of the difference, None where images cannot be paired.
        verdict: "better", "worse", "no difference seen" or "" (no interval), for B.
    """

    metric: str
    title: str
    unit: str
    a: float
    b: float
    low: float | None = None
    high: float | None = None
    verdict: str = ""

    @property
    def difference(self) -> float:
        return self.b - self.a


def compare(a: Result, b: Result, samples_a: Samples, samples_b: Samples) -> list[Difference]:
    """All metrics that both have.

    Raises:
        VarSpacesError: if the results are of different protocols.
    """
    if a.protocol != b.protocol:
        raise VarSpacesError(
            f"{a.id} is of '{a.protocol}' and {b.id} of '{b.protocol}': only results of one "
            "protocol can be compared."
        )
    same_machine = a.environment.device == b.environment.device
    pairs = [*_shared(a.scores, b.scores), *(_shared(a.costs, b.costs) if same_machine else ())]
    return [_difference(x, y, samples_a, samples_b) for x, y in pairs]


def _shared(a: tuple[Score, ...], b: tuple[Score, ...]) -> Iterator[tuple[Score, Score]]:
    theirs = {score.metric: score for score in b}
    return ((score, theirs[score.metric]) for score in a if score.metric in theirs)


def _difference(x: Score, y: Score, a: Samples, b: Samples) -> Difference:
    plain = Difference(x.metric, x.title, x.unit, x.value, y.value)
    one, other = a.values.get(x.metric, ()), b.values.get(x.metric, ())
    if not one or len(one) != len(other):  # a stranger's result may hold fewer than it says
        return plain
    import numpy as np

    low, high = paired_interval(np.array(one), np.array(other))
    verdict = "no difference seen"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == (x.better == "higher") else "worse"
    return Difference(x.metric, x.title, x.unit, x.value, y.value, low, high, verdict)


def paired_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of b - a over images, resampled in pairs."""
    from leaderboard.metrics.bootstrap import mean_interval

    return mean_interval(b - a)
