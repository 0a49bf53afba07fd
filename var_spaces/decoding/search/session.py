"""A search at work: candidates are drawn side by side, looked at now and then, and selected.

Only latents are kept; they are decoded where something looks at them. All candidates of an image
share its condition, so a selection re-indexes tokens, cache and modulation and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from var_spaces.decoding.loop.noise import Row
from var_spaces.decoding.loop.pixels import decode
from var_spaces.decoding.search import selection
from var_spaces.decoding.search.stages import Stages
from var_spaces.decoding.strategies.plain import PlainSession
from var_spaces.errors import VarSpacesError
from var_spaces.events import Candidates

if TYPE_CHECKING:
    import numpy as np

    from var_spaces.decoding.search.scoring import Features, Reward
    from var_spaces.decoding.setup import RunSetup

RESAMPLING = 1 << 16  # number of a pass whose noise no sampler draws


@dataclass(frozen=True)
class Criteria:
    """By what candidates are selected.

    Attributes:
        potential, strength, top: see :func:`var_spaces.decoding.search.selection.potential`.
        vectors: see :func:`var_spaces.decoding.search.selection.cluster_vectors`.
    """

    reward: Reward
    features: Features | None = None
    potential: str = "value"
    strength: float = 10.0
    vectors: str = "pca"
    top: int = 1


class SearchSession(PlainSession):
    """See :class:`var_spaces.decoding.strategy.DecodingSession`."""

    def __init__(
        self, setup: RunSetup, images: Sequence[int], stages: Stages, criteria: Criteria
    ) -> None:
        self.rows_per_image = stages.start
        self.owner = torch.tensor(list(images)).repeat_interleave(stages.start)
        super().__init__(setup, images)
        if stages.start > 1:  # the condition is read once for all candidates of an image
            rows = torch.arange(len(images), device=setup.device)
            self.run.gather_rows(rows.repeat_interleave(stages.start))
        self.setup, self.stages, self.criteria = setup, stages, criteria
        self.last = setup.schedule.num_scales - 1
        self.selecting = stages.selecting(setup.schedule)
        self.rewarded = rewarded(stages, criteria.potential) | (self.selecting & {self.last})
        self.history = torch.empty(len(self.owner), 0)
        if self.selecting:
            self.score = criteria.reward.load(setup.asked, setup.device)
            clusters = stages.clusters and criteria.features
            self.describe = criteria.features.load(setup.device) if clusters else None

    def select(self, scale: int, f_hat: Tensor) -> Tensor | None:
        self.candidates = ()
        selects = scale in self.selecting
        if not (selects or scale in self.rewarded):
            return None
        images = decode(self.setup.tokenizer, f_hat, self.setup.half)
        rewards = self._rewards(images, scale) if scale in self.rewarded else None
        found = []
        if selects:
            found = [self._of_image(image, scale, images, rewards) for image in self.owner.unique()]
        if rewards is not None:
            self.history = torch.cat((self.history, rewards[:, None]), dim=1)
        self.candidates = tuple(candidates for candidates, _ in found)
        return torch.cat([rows for _, rows in found]) if found else None

    def _rewards(self, images: np.ndarray, scale: int) -> Tensor:
        rewards = self.score(images, self.owner.tolist()).float().cpu()
        if rewards.shape != self.owner.shape:
            raise VarSpacesError(
                f"Reward '{self.criteria.reward.name}' gave {tuple(rewards.shape)} numbers for "
                f"{len(images)} images at scale {scale}."
            )
        return rewards

    def _of_image(
        self, image: Tensor, scale: int, images: np.ndarray, rewards: Tensor | None
    ) -> tuple[Candidates, Tensor]:
        """What is chosen among the candidates of one image, and their rows of the batch."""
        rows = (self.owner == image).nonzero()[:, 0]
        shown = images[rows.numpy()]
        own = rewards[rows] if rewards is not None else None
        if scale in self.stages.clusters:
            why, kept = "clusters", self._cluster(shown, self.stages.clusters[scale])
        elif scale in self.stages.resampling:
            count = self.stages.resampling[scale]
            why, kept = "resampling", self._resample(int(image), scale, own, rows, count)
        else:
            why, kept = "best", own.nan_to_num(nan=-torch.inf).argmax()[None]
        numbers = () if own is None else tuple(own.tolist())
        return Candidates(int(image), why, shown, numbers, tuple(kept.tolist())), rows[kept]

    def _cluster(self, images: np.ndarray, count: int) -> Tensor:
        if len(images) <= count:
            return torch.arange(len(images))
        vectors = selection.cluster_vectors(self.criteria.vectors, self.describe(images))
        return selection.representatives(vectors.cpu(), count)

    def _resample(
        self, image: int, scale: int, rewards: Tensor, rows: Tensor, count: int
    ) -> Tensor:
        criteria = self.criteria
        logs = selection.potential(
            criteria.potential, rewards, self.history[rows], criteria.strength, criteria.top
        )
        slots = [Row(self.setup.images[image], slot) for slot in range(count)]
        noise = self.setup.noise.gumbel(slots, scale, RESAMPLING, 1, len(rows))[:, 0].cpu()
        return selection.resample(selection.probabilities(logs), noise)

    def gather_rows(self, index: Tensor) -> None:
        super().gather_rows(index)
        index = index.cpu()
        self.owner, self.history = self.owner[index], self.history[index]


def rewarded(stages: Stages, potential: str) -> set[int]:
    """Scales whose rewards resampling needs: a potential may ask for those before it."""
    at = set(stages.resampling)
    if potential == "diff":
        at |= {scale - 1 for scale in at if scale}
    if potential in ("sum", "max", "top") and at:
        at |= set(range(max(at)))
    return at
