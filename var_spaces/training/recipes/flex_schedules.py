"""Random schedules for training FlexVAR (https://arxiv.org/abs/2502.20313, §3.3 and public code).

The published rule: now and then the usual list; else sides 1 and 2, some sides of a middle range,
some of a late range, and the last one. Then scales are dropped at random, and once more while there
are too many tokens. The code may drop the last scale, the paper says that it stays.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.steps import USUAL, stretched

ALWAYS = (1, 2)
DROPS = (0.9, 0.95, 0.98, 0.99)  # one scale is dropped for each of them below one uniform draw
LATE_SCALES = 4  # where scales are dropped to save tokens


@dataclass(frozen=True)
class RandomSchedules:
    """The published rule; its defaults are those of the 256 px models.

    Args:
        usual: the usual list of sides.
        usual_share: how often it is taken, 0..1.
        middle, late: first and last side of a range, and how many of it are drawn.
        budget: tokens at most.
        keep_last: never drop the last scale (paper), or let it go as others (public code).
        stretch: share of schedules that are stretched to another shape of the same area, 0..1
            (ours; published: 0).
        aspect: height over width of the longest shape; its inverse is the widest.
    """

    usual: tuple[int, ...] = USUAL
    usual_share: float = 0.05
    middle: tuple[int, int, int] = (3, 10, 5)
    late: tuple[int, int, int] = (11, 15, 2)
    budget: int = 680
    keep_last: bool = False
    stretch: float = 0.0
    aspect: float = 2.0

    def __post_init__(self) -> None:
        for low, high, count in (self.middle, self.late):
            if not 0 <= count <= high - low + 1:
                raise VarSpacesError(f"{count} different sides cannot be drawn of {low} to {high}.")
        if self.usual[: len(ALWAYS)] != ALWAYS or self.aspect < 1:
            raise VarSpacesError("The usual list begins with 1, 2, and aspect is 1 or more.")

    def draw(self, generator: random.Random) -> ScaleSchedule:
        """One schedule."""
        sides = self.sides(generator)
        if generator.random() >= self.stretch:
            return ScaleSchedule.square(sides)
        root = math.exp(generator.uniform(-0.5, 0.5) * math.log(self.aspect))
        height, width = (max(2, round(sides[-1] * factor)) for factor in (root, 1 / root))
        return stretched(sides, height, width)

    def sides(self, generator: random.Random) -> list[int]:
        """Sides of square maps."""
        if generator.random() < self.usual_share:
            return list(self.usual)
        drawn = [
            side
            for low, high, count in (self.middle, self.late)
            for side in generator.sample(range(low, high + 1), count)
        ]
        sides = sorted({*ALWAYS, *drawn, self.usual[-1]})
        chance = generator.random()
        for _ in filter(lambda threshold: chance > threshold, DROPS):
            if len(sides) - 1 > len(ALWAYS):  # small grids may have nothing left to drop
                del sides[generator.randrange(len(ALWAYS), len(sides) - 1)]
        while sum(side * side for side in sides) > self.budget:
            end = len(sides) - self.keep_last
            del sides[generator.randrange(max(len(sides) - LATE_SCALES, len(ALWAYS)), end)]
        return sides
