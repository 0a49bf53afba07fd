"""Does the picture change as its caption does? (StyleGAN-NADA, arXiv 2108.00946)

100 times the cosine of two differences of CLIP features: edited picture minus source, caption of
the target minus caption of the source. EMU Edit and MagicBrush report it as CLIP-dir.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.clip_score import cosines
from leaderboard.metrics.looking import Looking
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register


@register
class ClipDirection(PerImage, Looking):
    """-100..100; 0 where the picture did not change."""

    name = "clip-direction"
    title = "CLIP direction (100 cos)"
    paper = "https://arxiv.org/abs/2108.00946"
    better = "higher"
    facts = ("caption", "source-caption", "source", "suite")

    extractor: str = Field("clip-vit-l-14", description="a CLIP")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        from leaderboard.suites.base import get_suite

        network = context.network(self.uses)
        known = get_suite(batch.items[0].facts["suite"]).pictures()
        sources = [known[item.facts["source"]] for item in batch.items]
        moved = context.features(self.uses, batch.images) - network(np.stack(sources))
        texts = [
            network.texts([item.facts[name] for item in batch.items])
            for name in ("caption", "source-caption")
        ]
        with np.errstate(invalid="ignore"):
            return 100 * np.nan_to_num(cosines(moved, texts[0] - texts[1]))
