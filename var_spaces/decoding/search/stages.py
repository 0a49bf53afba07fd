"""How many candidates a search draws at every scale; no torch, as plans are checked before work."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.schedule import ScaleSchedule


@dataclass(frozen=True)
class Stages:
    """Who is selected when, for one image.

    Attributes:
        start: candidates at scale 0.
        clusters, resampling: scale -> candidates that are left after it.
    """

    start: int
    clusters: dict[int, int]
    resampling: dict[int, int]

    def batch(self, schedule: ScaleSchedule) -> tuple[int, ...]:
        """Candidates that every scale is drawn for."""
        left, batch = self.start, []
        for scale in range(schedule.num_scales):
            batch.append(left)
            left = {**self.clusters, **self.resampling}.get(scale, left)
        return tuple(batch)

    def selecting(self, schedule: ScaleSchedule) -> set[int]:
        """Scales after which candidates are chosen; none where one is drawn from first to last."""
        chosen = {*self.clusters, *self.resampling}
        return chosen | {schedule.num_scales - 1} if self.batch(schedule)[-1] > 1 else chosen

    def compute(self, schedule: ScaleSchedule) -> float:
        """Tokens that are drawn, as a multiple of one plain image; decodes are not in it."""
        drawn = zip(schedule.lengths, self.batch(schedule), strict=True)
        return sum(tokens * rows for tokens, rows in drawn) / schedule.total
