"""References: real images, or the statistics of their features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.errors import VarSpacesError
from var_spaces.methods import Method

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor

LEAST = 2  # images that have a covariance and pairs


@dataclass(frozen=True, eq=False)
class RealFeatures:
    """Features of real images under one extractor.

    Attributes:
        features: ``(M, d)`` float32; those metrics use that compare points.
        mean, covariance: ``(d,)`` and ``(d, d)`` float64; of a larger set if the reference says so.
    """

    features: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


class Reference(Method):
    """Base class of references."""

    kind = "reference"

    @property
    @abstractmethod
    def identity(self) -> str:
        """What it is, with a digest of its data; part of the identity of a metric.

        Raises:
            VarSpacesError: if it must be downloaded first; says what and from where.
        """

    @abstractmethod
    def images(self) -> Iterator[np.ndarray]:
        """Batches ``(B, H, W, 3)`` uint8, in a fixed order."""

    def statistics(self, extractor: Extractor) -> tuple[np.ndarray, np.ndarray] | None:
        """Published mean and covariance of this reference under an extractor, if there are any."""
        return None


def need_enough(count: int, of: str) -> None:
    """Refuse a set of images too small to be a distribution.

    Args:
        of: names the set, e.g. "drawn".

    Raises:
        VarSpacesError: below two.
    """
    if count < LEAST:
        raise VarSpacesError(
            f"Metrics of distributions need at least {LEAST} {of} images, but got {count}."
        )
