"""Best of N: draw N whole images and return the one with the best reward.

The baseline of test-time scaling, e.g. in TTS-VAR (https://arxiv.org/abs/2507.18537, table 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding.search.stages import Stages
from var_spaces.decoding.search.tts_var import RewardedSearch
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.decoding.search.session import SearchSession
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.schedule import ScaleSchedule


@register
class BestOfN(RewardedSearch):
    """N independent candidates, the best one at the end."""

    name = "best-of-n"
    title = "Best of N"
    paper = "https://arxiv.org/abs/2507.18537"

    candidates: int = Field(8, ge=1, le=64, description="images that are drawn for each one")

    def stages(self, schedule: ScaleSchedule) -> Stages:
        return Stages(self.candidates, {}, {})

    def session(self, setup: RunSetup, images: Sequence[int]) -> SearchSession:
        from var_spaces.decoding.search.session import Criteria, SearchSession

        return SearchSession(setup, images, self.stages(setup.schedule), Criteria(self.rewards()))
