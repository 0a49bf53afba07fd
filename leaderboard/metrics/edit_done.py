"""Share of edits that were done, as the embedded scene parser sees the changed places.

The parser errs: what it says of the true targets and of a tokenizer's reconstructions of them is
in docs/edit.md. A change of size is no fact that it knows; there the picture must also be nearer to
the target than to the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard import edit_pairs
from leaderboard.extractors.scene_parser import SceneFacts
from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.grouped import Grouped
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor

OPERATIONS = (
    "add", "remove", "replace", "recolour", "restyle", "background", "move", "enlarge", "shrink",
    "duplicate", "two",
)  # fmt: skip


@register
class EditDone(Grouped):
    """0..1, mean over operations; each operation is a detail."""

    name = "edit-done"
    title = "Edits done"
    better = "higher"
    facts = ("group", "pair")
    groups = OPERATIONS

    @property
    def uses(self) -> Extractor:
        return SceneFacts()

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        return self.with_groups(batch, done_of(batch, context))


def done_of(batch: Batch, context: Context) -> list[bool]:
    """Whether each edit of a batch was done."""
    from var_spaces.evaluators.edits import RESIZING, done, nearer

    seen = context.network(SceneFacts())(batch.images)
    pairs, (targets, masks) = edit_pairs.pairs(), edit_pairs.truth()
    found = []
    for item, image, facts in zip(batch.items, batch.images, seen, strict=True):
        n = item.facts["pair"]
        right = done(pairs[n], facts)
        if pairs[n].operation in RESIZING:
            right &= nearer(image, edit_pairs.sources()[n], targets[n], masks[n])
        found.append(right)
    return found
