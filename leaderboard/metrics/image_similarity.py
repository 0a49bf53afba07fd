"""CLIP-I and DINO-I: do two images show the same thing?

Ruiz et al. 2023 (DreamBooth, arXiv 2208.12242), section 4.2: mean cosine of image features. Here
the other image is the one that the full cache draws from the same noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.clip_score import cosines
from leaderboard.metrics.looking import Looking
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


class ImageSimilarity(PerImage, Looking):
    """Base class of both, -1..1."""

    paper = "https://arxiv.org/abs/2208.12242"
    better = "higher"
    compares = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        network = context.network(self.uses)
        return cosines(context.features(self.uses, batch.images), network(batch.full.images))


@register
class ClipI(ImageSimilarity):
    """Cosine of CLIP features."""

    name = "clip-i"
    title = "CLIP-I to full cache"

    extractor: str = Field("embedded-clip", description="a CLIP")


@register
class DinoI(ImageSimilarity):
    """Cosine of DINO features; published numbers use ViT-S/16."""

    name = "dino-i"
    title = "DINO-I to full cache"

    extractor: str = Field("dino-vit-s-16", description="a DINO")
