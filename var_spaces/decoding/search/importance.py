"""Importance sampling: a constant number of candidates, resampled by reward on the way.

The baseline of TTS-VAR (https://arxiv.org/abs/2507.18537, table 1), whose details are not
published: here it resamples where TTS-VAR does, and keeps as many candidates as it started with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding.search.stages import Stages
from var_spaces.decoding.search.tts_var import RewardedSearch, published_scales
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.decoding.search.session import SearchSession
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.schedule import ScaleSchedule


@register
class ImportanceSampling(RewardedSearch):
    """N candidates, drawn anew by reward after two fine scales, the best one at the end."""

    name = "importance-sampling"
    title = "Importance sampling"
    paper = "https://arxiv.org/abs/2507.18537"

    candidates: int = Field(8, ge=1, le=64, description="candidates at every scale")
    strength: float = Field(10.0, ge=0, le=100, description="how much the reward counts, lambda")

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        if published_scales(schedule.num_scales)[-1] >= schedule.num_scales - 1:
            raise VarSpacesError(
                f"{schedule.num_scales} scales are too few to resample between: take another "
                "decoding."
            )

    def stages(self, schedule: ScaleSchedule) -> Stages:
        fine = published_scales(schedule.num_scales)[2:]
        return Stages(self.candidates, {}, dict.fromkeys(fine, self.candidates))

    def session(self, setup: RunSetup, images: Sequence[int]) -> SearchSession:
        from var_spaces.decoding.search.session import Criteria, SearchSession

        criteria = Criteria(self.rewards(), strength=self.strength)
        return SearchSession(setup, images, self.stages(setup.schedule), criteria)
