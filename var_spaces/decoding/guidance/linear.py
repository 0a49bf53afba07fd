"""Classifier-free guidance with the linear schedule of VAR (https://arxiv.org/abs/2404.02905).

``t_k = w * k / (S - 1)``: the first scale is unguided, the last one has the full weight *w*. With
``w = 0`` no unconditional rows are computed; the result is the same as with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding.base import Guidance
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.schedule import ScaleSchedule


@register
class LinearGuidance(Guidance):
    """Guidance weight that grows linearly from 0 at the first scale to ``scale`` at the last."""

    name = "linear"
    title = "Linear guidance"
    paper = "https://arxiv.org/abs/2404.02905"

    scale: float = Field(1.5, ge=0, le=20, description="weight at the last scale; 0 is off")

    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        return self.scale * schedule.ratio(scale)
