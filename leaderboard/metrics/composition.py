"""Share of images of which every claim of the prompt is true, as the embedded scene parser sees it.

After GenEval (arXiv 2310.11513). The parser errs too: its accuracy on pictures of the scenes that
the prompts were written for is in its card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard.extractors.scene_parser import SceneFacts
from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.grouped import Grouped
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor


@register
class Composition(Grouped):
    """0..1, mean over the categories of prompts; each category is a detail."""

    name = "composition"
    title = "Composition"
    paper = "https://arxiv.org/abs/2310.11513"
    better = "higher"
    facts = ("group", "claims")
    groups = (
        "object", "two objects", "count", "colour", "two colours", "position", "background",
        "style", "unseen style", "easy",
    )  # fmt: skip

    @property
    def uses(self) -> Extractor:
        return SceneFacts()

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        from var_spaces.evaluators.claims import Caption, Thing, holds

        seen = context.network(self.uses)(batch.images)
        claims = [dict(item.facts["claims"]) for item in batch.items]
        captions = [
            Caption(**{**claim, "things": tuple(Thing(**thing) for thing in claim["things"])})
            for claim in claims
        ]
        right = [holds(caption, facts) for caption, facts in zip(captions, seen, strict=True)]
        return self.with_groups(batch, right)
