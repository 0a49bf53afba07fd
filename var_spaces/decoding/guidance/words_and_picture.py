"""Two guidances at once, on the words and on the picture, after InstructPix2Pix (arXiv 2211.09800).

``l = l_full + (c - 1) (l_full - l_null) + (p - 1) (l_full - l_blind)``: rows "null" see the picture
and have no words, rows "no-picture" have the words and see nothing. Each contrast leaves out one
condition of the full row; the published rule leaves both out of its third row. With ``p = 1``
there is no third row, and this is guidance per scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding import per_scale
from var_spaces.decoding.base import Guidance, guide
from var_spaces.methods import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule

NO_PICTURE = "no-picture"


@register
class WordsAndPicture(Guidance):
    """Strength of the words, and beside it that of the picture, each per scale."""

    name = "words-and-picture"
    title = "Guidance on words and picture"
    paper = "https://arxiv.org/abs/2211.09800"

    scale: per_scale.per_scale(0, 30) = Field(
        (3.0,), description="strength of the words; one number, or one per scale; 1 is off"
    )
    picture: per_scale.per_scale(0, 30) = Field(
        (1.5,), description="strength of the picture; one number, or one per scale; 1 is off"
    )

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        per_scale.check("guidance scale", self.scale, schedule)
        per_scale.check("guidance on the picture", self.picture, schedule)

    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        return per_scale.at(self.scale, scale) - 1

    def rows(self, schedule: ScaleSchedule) -> tuple[str, ...]:
        picture = (NO_PICTURE,) if any(value != 1 for value in self.picture) else ()
        return (*super().rows(schedule), *picture)

    def combine(self, parts: Mapping[str, Tensor], scale: int, schedule: ScaleSchedule) -> Tensor:
        guided = guide(parts, self.weight(scale, schedule)) if "null" in parts else parts["full"]
        if NO_PICTURE not in parts:
            return guided
        weight = per_scale.at(self.picture, scale) - 1
        return guided.add(parts["full"] - parts[NO_PICTURE], alpha=weight)
