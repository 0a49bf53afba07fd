"""Guidance of FlexVAR as published (https://arxiv.org/abs/2502.20313 and public code).

It grows with the scale and is full on maps that are larger than those of training. For maps that
are not square the longer side decides (ours: the public code has square maps only).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding.base import Guidance
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.schedule import ScaleSchedule

MAX_SIDE = 16


@register
class FlexGuidance(Guidance):
    """Guidance that grows from scale to scale, and is at once the whole strength on large maps.

    ``t_k = w k / min(S - 1, ramp)``, and ``w`` on maps above ``max_side``. A schedule with more
    than ``ramp + 1`` scales exceeds ``w`` at its last ones, as published. The constant guidance of
    the authors' demo is the method "per-scale" with one number.
    """

    name = "flexvar"
    title = "Guidance of FlexVAR"
    paper = "https://arxiv.org/abs/2502.20313"

    scale: float = Field(2.5, ge=0, le=20, description="weight at the end of the ramp; 0 is off")
    ramp: int = Field(9, ge=1, le=64, description="scales until the full weight, at most")
    max_side: int = Field(
        MAX_SIDE, ge=1, le=1024, description="maps with a longer side get the full weight"
    )

    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        if max(schedule.sizes[scale]) > self.max_side:
            return self.scale
        return self.scale * scale / max(min(schedule.num_scales - 1, self.ramp), 1)
