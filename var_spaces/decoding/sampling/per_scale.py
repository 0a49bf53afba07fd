"""Top-k and top-p with numbers per scale, as CoDe samples (arXiv 2411.17787, public code).

Published: top-k 600; temperature 1.1 at the seven smallest scales, where it brings back diversity
that a lower top-k takes, and 1 at the others. Drafter and refiner both count scales from the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding import per_scale
from var_spaces.decoding.base import Gumbel, Sampled, Sampling
from var_spaces.decoding.sampling.top_k_top_p import draw
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule


@register
class ScaleSampling(Sampling):
    """Top-k and top-p whose top-k and temperature may differ from scale to scale."""

    name = "scale-top-k-top-p"
    title = "Top-k, then top-p, per scale"
    paper = "https://arxiv.org/abs/2411.17787"

    top_k: per_scale.per_scale(0, 65536, int) = Field(
        (600,), description="codes kept, one number or one per scale; 0 keeps all (to 65536)"
    )
    top_p: float = Field(0.96, ge=0, le=1, description="probability mass kept; 0 keeps all")
    temperature: per_scale.per_scale(0.01, 10) = Field(
        (1.0,),
        description="divides the logits after filtering; one number, or one per scale (0.01 to 10)",
    )

    @property
    def excludes(self) -> dict[str, str]:
        return {"bits": "its tokens are bits, which the sampling 'bits' draws"}

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        per_scale.check("top_k", self.top_k, schedule)
        per_scale.check("temperature", self.temperature, schedule)

    def sample(
        self, logits: Tensor, gumbel: Gumbel, scale: int, schedule: ScaleSchedule
    ) -> Sampled:
        top_k, temperature = (per_scale.at(v, scale) for v in (self.top_k, self.temperature))
        return draw(logits, gumbel, top_k, self.top_p, temperature)
