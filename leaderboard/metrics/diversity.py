"""Diversity: how different are the images of one prompt?

Mean perceptual distance over all pairs of images of a prompt, then over prompts, as papers on
collapse report it (arXiv 2512.02931 for next-scale models): LPIPS, or offline the same formula over
the judge. More is not always better: read it beside a score of quality.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.looking import Looking
from leaderboard.metrics.per_image import PerImage
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register


@register
class Diversity(PerImage, Looking):
    """The suite must put all images of a prompt into one batch, whatever size is asked for."""

    name = "diversity"
    title = "Diversity"
    paper = "https://arxiv.org/abs/2512.02931"
    better = "higher"

    extractor: str = Field("judge", description="network that compares two images")

    @property
    def short(self) -> str:
        return f"{self.title}, pairwise ({self.uses.title})"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Per image: its mean distance to the others; the mean of these is that of all pairs.

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
        return total / (count - 1)
