"""How long a run lasts, and the learning rate that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from var_spaces.errors import VarSpacesError


@dataclass(frozen=True)
class Budget:
    """A number of minutes of training time, or of steps; exactly one of them.

    With minutes the schedule follows the clock, so that any machine uses the whole schedule. With
    steps a run is reproducible bit for bit.
    """

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise VarSpacesError("Give either --minutes or --steps as the budget of a run.")
        given = self.steps if self.minutes is None else self.minutes
        if not isinstance(given, int | float) or not 0 < given < math.inf:
            raise VarSpacesError("The budget of a run must be a number above zero.")

    def part(self, share: float) -> Budget:
        """A share of this budget, 0..1; at least one step."""
        if self.steps:
            return Budget(steps=max(1, round(self.steps * share)))
        return Budget(minutes=self.minutes * share)

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the budget that is used, 0..1; ``elapsed`` in seconds of training."""
        used = step / self.steps if self.steps else elapsed / (self.minutes * 60)
        return min(used, 1.0)


def lr_factor(progress: float, warmup: float, constant: float, final: float) -> float:
    """Linear warm-up, constant, then linear to ``final``; all in shares of the run."""
    if progress < warmup:
        return max(progress / warmup, 0.02)
    if progress < constant:
        return 1.0
    return 1.0 - (1.0 - final) * (progress - constant) / max(1.0 - constant, 1e-9)
