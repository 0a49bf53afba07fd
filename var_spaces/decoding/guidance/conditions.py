"""Guidance of words and of a picture apart, over three rows (EchoGen, ScaleWeaver).

``l = l_null + g_t (l_text - l_null) + g_c (l_full - l_text)`` with *full* all that was asked for,
*text* the words without the picture, *null* neither (InstructPix2Pix, arXiv 2211.09800, eq. 3, in
the order of arXiv 2509.26127). A row whose factor is 0 at all scales is not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding import per_scale
from var_spaces.decoding.base import Guidance
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule


@register
class ConditionGuidance(Guidance):
    """A strength for the words and one for the condition; 1 and 1 is no guidance."""

    name = "conditions"
    title = "Guidance of words and of a picture"
    paper = "https://arxiv.org/abs/2509.26127"

    scale: per_scale.per_scale(0, 30) = Field(
        (2.5,), description="strength of the words; one number, or one per scale (0 to 30)"
    )
    condition: per_scale.per_scale(0, 30) = Field(
        (2.5,), description="strength of the picture; one number, or one per scale (0 to 30)"
    )

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        per_scale.check("guidance scale", self.scale, schedule)
        per_scale.check("guidance condition", self.condition, schedule)

    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        return per_scale.at(self.scale, scale) - 1

    def factors(self, scale: int) -> dict[str, float]:
        """What every row counts at a scale; they add up to 1."""
        words, picture = (per_scale.at(v, scale) for v in (self.scale, self.condition))
        return {"full": picture, "text": words - picture, "null": 1 - words}

    def is_active(self, schedule: ScaleSchedule) -> bool:
        return len(self.rows(schedule)) > 1

    def rows(self, schedule: ScaleSchedule) -> tuple[str, ...]:
        every = [self.factors(k) for k in range(schedule.num_scales)]
        others = (name for name in ("text", "null") if any(factors[name] for factors in every))
        return ("full", *others)

    def combine(self, parts: Mapping[str, Tensor], scale: int, schedule: ScaleSchedule) -> Tensor:
        factors = self.factors(scale)
        return sum(part * factors[name] for name, part in parts.items())
