"""Share of tokens that are those of the full cache from the same noise.

Both runs are free: once a token differs, later scales see other inputs, so this falls faster than
the logits move.
"""

from __future__ import annotations

import numpy as np

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.per_image import PerImage
from var_spaces.methods import register


@register
class TokenAgreement(PerImage):
    """0..1, over the tokens of all scales; of bitwise tokens every bit counts."""

    name = "token-agreement"
    title = "Token agreement"
    better = "higher"
    compares = True

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        equal = batch.tokens == batch.full.tokens
        return equal.reshape(len(equal), -1).mean(axis=1, dtype=np.float64)
