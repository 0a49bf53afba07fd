"""Losses on groups of scales (CSD-VAR, https://arxiv.org/abs/2507.13984, scale-aware optimisation).

Coarse scales and the last one carry style, those between carry content. Each of the two sets of
learned rows follows a loss that counts its own scales, and the style loss a little of the others.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

Mean = Literal["scale", "group"]


@dataclass(frozen=True)
class ScaleGroups:
    """Which scales carry style; all others carry content.

    Args:
        style: indices of scales from 0.
        total: number of scales.

    Raises:
        VarSpacesError: if a group is empty or a scale does not exist.
    """

    style: tuple[int, ...]
    total: int

    def __post_init__(self) -> None:
        if (
            not set(self.style) <= set(range(self.total))
            or not 0 < len(set(self.style)) < self.total
        ):
            raise VarSpacesError(
                f"Style scales {self.style} of {self.total}: name some of 0 to {self.total - 1}, "
                "and leave at least one to the content."
            )

    @classmethod
    def published(cls, schedule: ScaleSchedule, last: bool = True) -> ScaleGroups:
        """The first three scales, fewer of short schedules, and as in the paper the ``last`` one.

        The released code counts the last scale as content.
        """
        scales = schedule.num_scales
        end = (scales - 1,) if last else ()
        first = max(1, min(3, scales - 1 - len(end)))
        return cls((*range(first), *end), scales)

    @property
    def content(self) -> tuple[int, ...]:
        return tuple(k for k in range(self.total) if k not in self.style)


def group_weights(
    schedule: ScaleSchedule,
    major: Collection[int],
    minor: Collection[int] = (),
    alpha: float = 0.1,
    mean: Mean = "scale",
) -> Tensor:
    """Weight of every token ``(L,)`` float64, for a loss that is their weighted sum.

    Args:
        major: scales that count in full; minor: those that count ``alpha`` times.
        mean: "scale" adds up the mean loss of every scale (paper), "group" takes the mean over all
            tokens of a group (released code).
    """
    weights = torch.zeros(schedule.total, dtype=torch.float64)
    for group, factor in ((major, 1.0), (minor, alpha)):
        size = sum(schedule.lengths[k] for k in group)
        for k in group:
            weights[schedule.span(k)] = factor / (size if mean == "group" else schedule.lengths[k])
    return weights
