"""Steps that see only the first scales of an image.

Next-scale models are block-causal: what a scale predicts does not depend on later ones, so a step
may leave these out. Layout, colours and number are decided by coarse scales, which hold few of the
tokens; the last scale of the published schedules holds a third to a half of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.ranges import Bounds
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.engine.amounts import Count, Some


@dataclass(frozen=True)
class PrefixConfig:
    """What recipes say of it; all may change in the middle of a run.

    Args:
        full: share of steps that see all scales, above 0 and up to 1.
        shortest, longest: the other steps see so many, equally often; ``longest`` 0 is all but one.
    """

    full: Annotated[float, Bounds(0, 1, open_low=True)] = 1.0
    shortest: Count = 1
    longest: Some = 0


@dataclass(frozen=True)
class Prefixes:
    """How many scales a step sees.

    Args:
        schedule: of the token maps.
    """

    schedule: ScaleSchedule
    config: PrefixConfig

    def __post_init__(self) -> None:
        scales = self.schedule.num_scales
        shortest, longest = self.config.shortest, self.config.longest
        if shortest > scales:
            raise VarSpacesError(
                f"Steps see at least {shortest} of {scales} scales; allowed for [recipe] shortest "
                f"are 1 to {scales}."
            )
        if longest and not shortest <= longest < scales:
            raise VarSpacesError(
                f"Steps see {shortest} to {longest} of {scales} scales; allowed for [recipe] "
                f"longest are {shortest} to {scales - 1}, and 0 for {scales - 1}."
            )

    def draw(self, seed: int, step: int) -> int:
        """Scales of a step, the same in all processes."""
        scales, config = self.schedule.num_scales, self.config
        drawn = random.Random(f"prefix {seed} {step}")
        if config.shortest >= scales or drawn.random() < config.full:
            return scales
        return drawn.randrange(config.shortest, (config.longest or scales - 1) + 1)

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
