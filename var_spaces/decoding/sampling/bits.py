"""Sampling of bitwise tokens, as Infinity does it (https://arxiv.org/abs/2412.04431).

Every bit is a draw of its own between two values. The draw is an arg-max over logits plus Gumbel
noise, so it takes its noise from the image like every other sampler here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding import per_scale
from var_spaces.decoding.base import Gumbel, Sampled, Sampling
from var_spaces.decoding.sampling.top_k_top_p import filter_top_k_top_p
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule


@register
class BitSampling(Sampling):
    """Divide by the temperature, drop a value that is very unlikely, draw.

    Guidance is linear in the logits, so dividing before it (as published) or here is the same.
    """

    name = "bits"
    title = "Bit by bit"
    paper = "https://arxiv.org/abs/2412.04431"

    temperature: per_scale.per_scale(0.01, 10) = Field(
        (1.0,), description="divides the logits; one number, or one per scale (0.01 to 10)"
    )
    top_k: int = Field(0, ge=0, le=65536, description="1 takes the likelier value of every bit")
    top_p: float = Field(
        0.97, ge=0, le=1, description="drops a value below 1 - top_p; 0 keeps both"
    )

    @property
    def needs(self) -> dict[str, str]:
        return {"bits": "it draws bits"}

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        per_scale.check("temperature", self.temperature, schedule)

    def sample(
        self, logits: Tensor, gumbel: Gumbel, scale: int, schedule: ScaleSchedule
    ) -> Sampled:
        """Bits ``(B, l, n)`` from logits ``(B, l, n, 2)``."""
        logits = logits / per_scale.at(self.temperature, scale)
        if self.top_k == 1:
            logits = filter_top_k_top_p(logits, 1)
        logits = filter_pair(logits, self.top_p)
        _, tokens, bits, values = logits.shape
        noise = gumbel(tokens * bits, values).view_as(logits)
        return Sampled((logits + noise).argmax(-1), logits)

    def entropy(self, logits: Tensor) -> Tensor:
        """Mean entropy of a token: that of its bits together."""
        return super().entropy(logits) * logits.shape[-2]


def filter_pair(logits: Tensor, top_p: float) -> Tensor:
    """Top-p of two values ``(..., 2)``, without sorting them.

    The less likely one is dropped if its probability is at most ``1 - top_p``; of equal ones it is
    the first.
    """
    import torch

    if top_p <= 0:
        return logits
    first, second = logits.unbind(-1)
    less = (first <= second, second < first)
    unlikely = logits.softmax(-1) <= 1 - top_p
    remove = torch.stack(less, -1) & unlikely
    return logits.masked_fill(remove, -math.inf)
