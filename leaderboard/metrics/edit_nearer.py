"""Share of edits whose picture is nearer to the target than to the source, where the two differ.

It needs no judge that errs, and does not say that the picture shows what it should.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard import edit_pairs
from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.edit_done import OPERATIONS
from leaderboard.metrics.grouped import Grouped
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


@register
class EditNearer(Grouped):
    """0..1 by squared error inside the mask of what may change; mean over operations."""

    name = "edit-nearer"
    title = "Nearer to the target"
    better = "higher"
    facts = ("group", "pair")
    groups = OPERATIONS

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        from var_spaces.evaluators.edits import nearer

        targets, masks = edit_pairs.truth()
        found = []
        for item, image in zip(batch.items, batch.images, strict=True):
            n = item.facts["pair"]
            found.append(nearer(image, edit_pairs.sources()[n], targets[n], masks[n]))
        return self.with_groups(batch, found)
