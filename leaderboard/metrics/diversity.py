"""Diversity: how different are the images of one prompt?

Mean perceptual distance over all pairs of images of a prompt, then over prompts, as papers on
collapse report it (arXiv 2512.02931 for next-scale models): LPIPS, or offline the same formula over
the judge. More is not always better: read it beside a score of quality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Batch, Context, Value
from leaderboard.metrics.bootstrap import clustered_interval
from leaderboard.metrics.looking import Looking
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


@register
class Diversity(Looking):
    """The suite must put all images of a prompt into one batch, whatever size is asked for.
    Intervals are over prompts, since the distances of a prompt's images share their pairs."""

    name = "diversity"
    title = "Diversity"
    paper = "https://arxiv.org/abs/2512.02931"
    better = "higher"
    version = 2

    extractor: str = Field("judge", description="network that compares two images")

    @property
    def short(self) -> str:
        return f"{self.title}, pairwise ({self.uses.title})"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """``(B, 2)``: the mean distance of an image to the others, and the number of their prompt;
        the mean of these distances is that of all pairs.

        Raises:
            VarSpacesError: for a batch of one image, which has no other.
        """
        count = len(batch.images)
        if count < 2:
            raise VarSpacesError(
                f"'{self.title}' compares the images of a prompt, but image {batch.items[0].index} "
                "is alone: the suite must draw two or more of each, in one batch."
            )
        first, second = np.triu_indices(count, 1)
        network = context.network(self.uses)
        found = network.distance(batch.images[first], batch.images[second])
        total = np.bincount(first, found, count) + np.bincount(second, found, count)
        return np.column_stack([total / (count - 1), np.full(count, batch.items[0].index)])

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        return Value(float(values[:, 0].mean()), *clustered_interval(*values.T))
