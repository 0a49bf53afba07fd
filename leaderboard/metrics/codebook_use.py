"""How much of the codebook the drawn images use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Batch, Context, Metric, Value
from var_spaces.errors import VarSpacesError
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
        """Ids ``(B, L)``; bitwise tokens, ``(B, L, d)``, are read as whole numbers.

        Raises:
            VarSpacesError: for tokens of more than 64 bits.
        """
        tokens = batch.tokens
        if tokens.ndim < 3:
            return tokens
        bits = tokens.shape[2]
        if bits > 64:
            raise VarSpacesError(f"{self.title} counts codes of up to 64 bits; these have {bits}.")
        packed = np.packbits(tokens.astype(bool), axis=2, bitorder="little")
        filled = np.pad(packed, ((0, 0), (0, 0), (0, 8 - packed.shape[2])))
        return np.ascontiguousarray(filled).view("<i8")[..., 0]

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        _, counts = np.unique(values, return_counts=True)
        share = counts / counts.sum()
        perplexity = float(np.exp(-(share * np.log(share)).sum()))
        return Value(perplexity, details={"distinct": len(counts)})
