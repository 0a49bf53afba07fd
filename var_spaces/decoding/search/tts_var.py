"""TTS-VAR: test-time scaling along the scales (https://arxiv.org/abs/2507.18537).

Many candidates start, few end: coarse scales are cheap. After two coarse scales clusters of what
the images look like keep them diverse; after two fine ones candidates are resampled by reward; the
best of the last ``candidates`` is the image. The published scales (2, 5 and 6, 9 of 13) and sizes
are those at which the batch of the released code changes; for other schedules they move along.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from var_spaces import methods
from var_spaces.decoding.search.stages import Stages
from var_spaces.decoding.strategy import DecodingStrategy, ScaleWork
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from var_spaces.decoding.search.scoring import Asked, Features, Reward
    from var_spaces.decoding.search.session import SearchSession
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.schedule import ScaleSchedule

PUBLISHED, PUBLISHED_SCALES = (2, 5, 6, 9), 13
TOP = 2  # the fewest that are neither "max" nor, after the second scale, "sum"
Scales = tuple[Annotated[int, Field(ge=0, le=62)], ...]
Sizes = tuple[Annotated[int, Field(ge=1, le=64)], ...]


class RewardedSearch(DecodingStrategy):
    """A strategy that looks at candidates through a reward."""

    reward: str = Field(
        "clip",
        max_length=64,
        json_schema_extra={"content": "reward"},
        description="what says which image is better",
    )

    @property
    def needs(self) -> dict[str, str]:
        reads = {"kv-cache": "candidates read the keys and values of earlier scales"}
        return {**reads, **self.rewards().needs}

    @abstractmethod
    def stages(self, schedule: ScaleSchedule) -> Stages:
        """Candidates at every scale, and where they are chosen from."""

    def work(self, schedule: ScaleSchedule, depth: int) -> tuple[ScaleWork, ...]:
        stages = self.stages(schedule)
        batch = stages.batch(schedule)
        looks = {*stages.clusters, *stages.resampling, schedule.num_scales - 1}
        return tuple(ScaleWork(rows=rows, looks=k in looks) for k, rows in enumerate(batch))

    def check_asked(self, asked: Asked, schedule: ScaleSchedule) -> None:
        if self.stages(schedule).selecting(schedule):
            self.rewards().check(asked)

    def rewards(self) -> Reward:
        """The reward, with default parameters."""
        return methods.parse("reward", self.reward)

    @model_validator(mode="after")
    def _known_reward(self) -> RewardedSearch:
        self.rewards()
        return self


@register
class TTSVAR(RewardedSearch):
    """Many coarse candidates, fewer at every selection, the best of the last."""

    name = "tts-var"
    title = "TTS-VAR: search among candidates"
    paper = "https://arxiv.org/abs/2507.18537"

    candidates: int = Field(1, ge=1, le=8, description="candidates left at the end; all sizes grow")
    sizes: Sizes = Field(
        (8, 6, 4, 2, 1), min_length=1, description="candidates at first and after each selection"
    )
    clustering: bool = Field(True, description="keep different looks at coarse scales")
    resampling: bool = Field(True, description="draw by reward at fine scales")
    cluster_scales: Scales = Field(
        (), description="scales (from 0) after which clusters are kept; empty is as published"
    )
    resample_scales: Scales = Field(
        (), description="scales after which candidates are resampled; empty is as published"
    )
    potential: Literal["value", "max", "sum", "diff", "top"] = Field(
        "value", description="reward now, or largest, sum, change or sum of the top over the scales"
    )
    top: int = Field(
        TOP,
        ge=1,
        le=63,
        description="how many of the largest rewards are summed, for potential top",
        json_schema_extra={"later": True},
    )
    strength: float = Field(10.0, ge=0, le=100, description="how much the reward counts, lambda")
    features: str = Field(
        "clip",
        max_length=64,
        json_schema_extra={"content": "features"},
        description="what clusters are made of",
    )
    vectors: Literal["pca", "pca-all", "pool"] = Field(
        "pca", description="patches along their main direction (own, or common), or their mean"
    )

    @model_validator(mode="after")
    def _check(self) -> TTSVAR:
        self._features()
        if self.potential != "top" and self.top != TOP:
            raise VarSpacesError(
                f"top = {self.top} counts with potential 'top' alone, not with '{self.potential}': "
                "choose that potential or leave top out."
            )
        return self

    def _features(self) -> Features:
        return methods.parse("features", self.features)

    @property
    def needs(self) -> dict[str, str]:
        return {**super().needs, **self._features().needs}

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        self.stages(schedule)

    def stages(self, schedule: ScaleSchedule) -> Stages:
        """Who is selected when.

        Raises:
            VarSpacesError: if scales and sizes do not fit together or the schedule.
        """
        moved = published_scales(schedule.num_scales)
        clusters = self.cluster_scales or moved[:2]
        resampling = self.resample_scales or moved[2:]
        order = sorted((*clusters, *resampling))
        if len(set(order)) < len(order) or order[-1] >= schedule.num_scales - 1:
            raise VarSpacesError(
                f"Selections after scales {order} do not fit {schedule.num_scales} scales: each "
                "must be another one, before the last. Give cluster_scales and resample_scales."
            )
        if len(self.sizes) != len(order) + 1:
            raise VarSpacesError(
                f"sizes has {len(self.sizes)} numbers for {len(order)} selections: give "
                f"{len(order) + 1}, the first for the start."
            )
        if list(self.sizes) != sorted(self.sizes, reverse=True):
            raise VarSpacesError(f"sizes {list(self.sizes)} must not grow from scale to scale.")
        after = {k: size * self.candidates for k, size in zip(order, self.sizes[1:], strict=True)}
        return Stages(
            start=self.sizes[0] * self.candidates,
            clusters={k: after[k] for k in clusters if self.clustering},
            resampling={k: after[k] for k in resampling if self.resampling},
        )

    def session(self, setup: RunSetup, images: Sequence[int]) -> SearchSession:
        from var_spaces.decoding.search.session import Criteria, SearchSession

        criteria = Criteria(
            self.rewards(), self._features(), self.potential, self.strength, self.vectors, self.top
        )
        return SearchSession(setup, images, self.stages(setup.schedule), criteria)


def published_scales(count: int) -> tuple[int, ...]:
    """The published scales moved to a schedule of ``count`` scales, each at least one apart."""
    found: list[int] = []
    for scale in PUBLISHED:
        moved = int(scale * (count - 1) / (PUBLISHED_SCALES - 1) + 0.5)
        found.append(max(moved, found[-1] + 1 if found else 0))
    return tuple(found)
