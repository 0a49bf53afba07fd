"""Draw the details of a picture anew: its coarse scales stay, the finer ones are drawn.

The refinement of FlexVAR (https://arxiv.org/abs/2502.20313) for any next-scale model: tokens of the
picture are given at the first scales, so its layout stays, and sampling goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.errors import VarSpacesError
from var_spaces.methods import register
from var_spaces.tasks.base import Pictures
from var_spaces.tasks.generate import ClassTask
from var_spaces.tasks.source import SourceTask

if TYPE_CHECKING:
    from var_spaces.decoding.substitution import CoarseScales
    from var_spaces.schedule import ScaleSchedule


@register
class Refine(SourceTask, ClassTask):
    """Keep the coarse scales of a picture and draw its details anew."""

    name = "refine"
    title = "Draw the details anew (refinement)"
    paper = "https://arxiv.org/abs/2502.20313"

    keep: int = Field(
        3,
        ge=0,
        le=32,
        description="coarse scales that stay as in the picture; 0: all that are not larger than it",
    )

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        scales = schedule.num_scales
        if self.keep >= scales:
            raise VarSpacesError(
                f"keep = {self.keep} leaves nothing to draw: there are {scales} scales, so "
                f"allowed is 0 to {scales - 1}."
            )

    def substitution(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> CoarseScales:
        from var_spaces.decoding.substitution import CoarseScales

        ids = self.source_ids(tokenizer, schedule, pictures)
        own = self._own(schedule, tokenizer.downsample, pictures)
        return CoarseScales(tokenizer, ids, own)

    def check_pictures(self, schedule: ScaleSchedule, downsample: int, pictures: Pictures) -> None:
        self._own(schedule, downsample, pictures)

    def _own(self, schedule: ScaleSchedule, downsample: int, pictures: Pictures) -> int:
        """How many scales are kept: those that are not larger than the picture, if none is told.

        Raises:
            VarSpacesError: if no scale or no larger one is left.
        """
        if self.keep:
            return self.keep
        height, width = (side / downsample for side in pictures[self.source].shape[:2])
        fitting = sum(h <= height and w <= width for h, w in schedule.sizes)
        if not 0 < fitting < schedule.num_scales:
            raise VarSpacesError(
                "keep = 0 wants a picture that is smaller than what is drawn and has at least one "
                f"token ({downsample} px): give the number of scales to keep."
            )
        return fitting
