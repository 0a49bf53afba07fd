"""Inception score: confident about every image, undecided about all together.

Salimans et al. 2016 (arXiv 1606.03498): exp of the mean KL of p(y|x) from p(y), mean over splits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Value
from leaderboard.metrics.distribution import Distribution
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures


@register
class InceptionScore(Distribution):
    """The extractor gives logits. Images are split in the order of the suite, as the reference
    evaluator does; the interval is 1.96 standard errors over splits."""

    name = "inception-score"
    title = "Inception score"
    paper = "https://arxiv.org/abs/1606.03498"
    better = "higher"
    needs_reference = False

    extractor: str = Field("inception-logits", description="network whose logits are read")
    splits: int = Field(10, ge=1, le=100, description="parts of the images")
    shuffle: bool = Field(False, description="in a fixed random order, for suites sorted by class")

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        logits = np.asarray(values, np.float64)
        if self.shuffle:
            logits = logits[np.random.default_rng(0).permutation(len(logits))]
        splits = min(self.splits, len(logits))  # an empty one would have no score
        found = [inception_score(part) for part in np.array_split(logits, splits)]
        mean = float(np.mean(found))
        if splits < 2:
            return Value(mean)
        error = 1.96 * float(np.std(found, ddof=1)) / splits**0.5
        return Value(mean, mean - error, mean + error)


def inception_score(logits: np.ndarray) -> float:
    """Of one split ``(n, classes)``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (log_p - np.log(p.mean(axis=0))), 0)
    return float(np.exp(terms.sum(axis=1).mean()))
