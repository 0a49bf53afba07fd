"""Guidance between blocks, an option of Infinity's public code (arXiv 2412.04431).

After chosen blocks the hidden states of all rows become ``c x_cond + (1 - c) x_uncond``. Layer 0
stands for the logits, -1 for the last block, -2 for the one before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from var_spaces.decoding import per_scale
from var_spaces.decoding.base import Guidance
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.schedule import ScaleSchedule


@register
class LayerGuidance(Guidance):
    """Guide hidden states after some blocks, and the logits if layer 0 is listed."""

    name = "layers"
    title = "Guidance between blocks"
    paper = "https://arxiv.org/abs/2412.04431"

    scale: per_scale.per_scale(0, 30) = Field(
        (3.0,), description="strength; one number, or one per scale (0 to 30); 1 is off"
    )
    layers: tuple[Annotated[int, Field(ge=-256, le=0)], ...] = Field(
        (-5,), description="0 is the logits, -1 after the last block, -2 after the one before"
    )

    @property
    def needs(self) -> dict[str, str]:
        between = any(layer < 0 for layer in self.layers)
        return {"layer-guidance": "it changes hidden states between blocks"} if between else {}

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        per_scale.check("guidance scale", self.scale, schedule)

    def is_active(self, schedule: ScaleSchedule) -> bool:
        return bool(self.layers) and any(value != 1 for value in self.scale)

    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        return per_scale.at(self.scale, scale) - 1 if 0 in self.layers else 0.0

    def hidden_weights(self, scale: int, schedule: ScaleSchedule, depth: int) -> dict[int, float]:
        weight = per_scale.at(self.scale, scale) - 1
        if weight == 0:
            return {}
        blocks = {depth + layer: weight for layer in self.layers if layer < 0}
        if min(blocks, default=0) < 0:
            raise VarSpacesError(
                f"Layer {min(self.layers)} of guidance is before the first of {depth} blocks."
            )
        return blocks
