"""Guidance with one strength, or one per scale, as Infinity has it (arXiv 2412.04431).

``l = c l_cond + (1 - c) l_uncond``: 1 is no guidance, and such a scale uses conditional rows only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding import per_scale
from var_spaces.decoding.base import Guidance
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.schedule import ScaleSchedule


@register
class ScaleGuidance(Guidance):
    """The same strength at all scales, or a list with one per scale."""

    name = "per-scale"
    title = "Guidance per scale"
    paper = "https://arxiv.org/abs/2412.04431"

    scale: per_scale.per_scale(0, 30) = Field(
        (3.0,), description="strength; one number, or one per scale (0 to 30); 1 is off"
    )

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        per_scale.check("guidance scale", self.scale, schedule)

    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        return per_scale.at(self.scale, scale) - 1
