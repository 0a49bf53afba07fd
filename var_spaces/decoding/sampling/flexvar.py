"""How FlexVAR samples as published (https://arxiv.org/abs/2502.20313 and public code).

Maps that are larger than those of training, and maps of sizes that the public code does not list,
take the likeliest code at every position. For maps that are not square the longer side decides
(ours: the public code has square maps only).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from var_spaces.decoding.base import Gumbel, Sampled
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule

MAX_SIDE = 16
DRAWN = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 23, 24, 32)
FORBIDDEN = -100.0  # logit of codes that are not drawn, as published


@register
class FlexSampling(TopKTopP):
    """Top-k, then top-p; the likeliest code on maps of sizes that are not drawn."""

    name = "flexvar"
    title = "Top-k, then top-p; FlexVAR's greedy scales"
    paper = "https://arxiv.org/abs/2502.20313"

    top_p: float = Field(0.95, ge=0, le=1, description="probability mass kept; 0 keeps all")
    max_side: int = Field(
        MAX_SIDE, ge=1, le=1024, description="maps with a longer side take the likeliest codes"
    )
    drawn: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(
        DRAWN, max_length=64, description="longer sides of maps that are drawn; none means all"
    )
    forbidden: tuple[Annotated[int, Field(ge=0, lt=65536)], ...] = Field(
        (),
        max_length=64,
        description="numbers of codes that are not drawn",
        json_schema_extra={"later": True},
    )

    @field_validator("forbidden")
    @classmethod
    def _in_order(cls, codes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(codes)))  # the same codes are the same run

    def check_codes(self, count: int) -> None:
        if self.forbidden and (self.forbidden[-1] >= count or len(self.forbidden) == count):
            raise VarSpacesError(
                f"forbidden = {list(self.forbidden)}: the model has {count} codes, from 0 to "
                f"{count - 1}. Name some of those, and not all."
            )

    def sample(
        self, logits: Tensor, gumbel: Gumbel, scale: int, schedule: ScaleSchedule
    ) -> Sampled:
        if self.forbidden:
            # Published before guidance, which leaves a logit alone that all conditions share.
            logits = logits.clone()
            for code in self.forbidden:  # a tensor of them would have to be moved to the device
                logits[..., code] = FORBIDDEN
        side = max(schedule.sizes[scale])
        if side <= self.max_side and (not self.drawn or side in self.drawn):
            return super().sample(logits, gumbel, scale, schedule)
        greedy = self.model_copy(update={"top_k": 1})
        return super(FlexSampling, greedy).sample(logits, gumbel, scale, schedule)
