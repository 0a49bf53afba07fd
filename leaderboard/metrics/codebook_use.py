"""How much of the codebook the drawn images use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Batch, Context, Metric, Value
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


@register
class CodebookUse(Metric):
    """Perplexity of the codes of all images, exp of their entropy: the number of equally frequent
    codes that would vary as much. The share of distinct codes among those seen is a detail."""

    name = "codebook-use"
    title = "Codebook perplexity"
    better = "higher"

    def heading(self, n: int) -> str:
        return f"{self.title} N={n}"

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """Ids ``(B, L)``; bitwise tokens, ``(B, L, d)``, are read as whole numbers if they fit."""
        tokens = batch.tokens
        if tokens.ndim == 3:
            tokens = tokens @ (1 << np.arange(min(tokens.shape[2], 62), dtype=np.int64))
        return tokens

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        _, counts = np.unique(values, return_counts=True)
        share = counts / counts.sum()
        perplexity = float(np.exp(-(share * np.log(share)).sum()))
        return Value(perplexity, details={"distinct": len(counts)})
