"""Steps that see only the first scales of an image.

Next-scale models are block-causal: what a scale predicts does not depend on later ones, so a step
may leave these out. Layout, colours and number are decided by coarse scales, which hold few of the
tokens; the last scale of the published schedules holds a third to a half of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule


@dataclass(frozen=True)
class Prefixes:
    """How many scales a step sees.

    Args:
        schedule: of the token maps.
        full: share of steps that see all scales, above 0 and up to 1.
        shortest, longest: the other steps see so many, equally often; ``longest`` 0 is all but one.
    """

    schedule: ScaleSchedule
    full: float = 1.0
    shortest: int = 3
    longest: int = 0

    def __post_init__(self) -> None:
        scales = self.schedule.num_scales
        if not 0 < self.full <= 1 or not 1 <= self.shortest <= scales:
            raise VarSpacesError(
                f"Steps see all of {scales} scales in a share of {self.full} and at least "
                f"{self.shortest}; allowed are a share above 0 and up to 1, and 1 to {scales}."
            )
        if self.longest and not self.shortest <= self.longest < scales:
            raise VarSpacesError(
                f"Steps see {self.shortest} to {self.longest} of {scales} scales; allowed for the "
                f"second number are {self.shortest} to {scales - 1}, and 0 for {scales - 1}."
            )

    def draw(self, seed: int, step: int) -> int:
        """Scales of a step, the same in all processes."""
        scales = self.schedule.num_scales
        drawn = random.Random(f"prefix {seed} {step}")
        if self.shortest >= scales or drawn.random() < self.full:
            return scales
        return drawn.randrange(self.shortest, (self.longest or scales - 1) + 1)

    def first(self, scales: int, tokens: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Of the first scales: inputs ``(B, L - l_0, n)``, and targets, bits ``(B, L, n)`` or ids
        ``(B, L)``."""
        length = self.schedule.offsets[scales]
        return tokens[:, : length - self.schedule.lengths[0]], bits[:, :length]


def mean_seen(losses: Tensor, weights: Tensor) -> Tensor:
    """Mean of the losses ``(B, l)`` of what a step sees, under ``weights`` of all tokens, ``(L,)``
    or ``(B, L)``.

    A step that sees little counts as much as one that sees all. Weighting tokens by the inverse of
    how often they are seen would keep the expected loss; but then the gradient of seven scales is
    thirty times that of three, and short steps leave no trace in Muon's momentum.
    """
    seen = weights[..., : losses.shape[1]].expand_as(losses)
    return (losses * seen).sum() / seen.sum()
