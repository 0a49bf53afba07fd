"""CLIP maximum mean discrepancy.

Jayasumana et al. 2024 (arXiv 2401.09603): Gaussian kernel with sigma 10 on unit-length CLIP
features, biased estimator of least variance, times 1000. Published numbers use ViT-L/14 at 336 px.
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

SIGMA = 10.0
SCALE = 1000.0
CHUNK = 2048


@register
class Cmmd(Distribution):
    """Of embeddings of the extractor, which must be a CLIP."""

    name = "cmmd"
    title = "CMMD"
    paper = "https://arxiv.org/abs/2401.09603"
    better = "lower"

    extractor: str = Field("embedded-clip", description="a CLIP")

    def compare(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        x, y = (_unit(np.asarray(part, np.float64)) for part in (values, real.features))
        found = mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
        return Value(SCALE * found)


def mean_kernel(x: np.ndarray, y: np.ndarray) -> float:
    """Mean of exp(-|x - y|^2 / (2 sigma^2)) over all pairs, self included."""
    squares = np.square(y).sum(axis=1)
    total = 0.0
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        distance = np.square(part).sum(axis=1)[:, None] + squares - 2 * part @ y.T
        total += float(np.exp(-distance / (2 * SIGMA**2)).sum())
    return total / (len(x) * len(y))


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)
