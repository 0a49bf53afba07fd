"""Where and how much two runs differ, scale by scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from var_spaces.compare.similarity import ssim
from var_spaces.compare.trace import Trace
from var_spaces.evaluators.similarity import LIMIT, psnr


@dataclass(frozen=True)
class ScaleDifference:
    """Two runs after one scale.

    Attributes:
        size: ``(h, w)`` of the token map.
        agreement: share of equal tokens, 0..1 (of bitwise tokens: of bits); None if the tokens of
            the two cannot be compared.
        psnr, ssim: of the pictures so far; None if their sizes differ (or are too small).
    """

    size: tuple[int, int]
    agreement: float | None
    psnr: float | None
    ssim: float | None


@dataclass(frozen=True)
class Divergence:
    """The first token that differs: scale from 0, row and column in its map from 0."""

    scale: int
    row: int
    column: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Difference:
    """Two finished runs.

    Attributes:
        scales: those that both drew with maps of equal size, from the first on.
        agreement: share of equal tokens over those scales.
        psnr, ssim: of the finished pictures.
        first: where they part; None if no token differs.
        comparable: whether tokens mean the same in both.
    """

    scales: tuple[ScaleDifference, ...]
    agreement: float | None
    psnr: float | None
    ssim: float | None
    first: Divergence | None
    comparable: bool

    @property
    def is_none(self) -> bool:
        """Whether tokens and finished pictures are exactly equal."""
        return self.comparable and self.agreement == 1 and self.psnr == LIMIT


def difference(a: Trace, b: Trace) -> Difference:
    """Compare two traces."""
    comparable = a.tokenizer == b.tokenizer
    common = 0
    for size_a, size_b in zip(a.sizes, b.sizes, strict=False):
        if size_a != size_b:
            break
        common += 1
    # Tokens of different tokenizers may not even have one shape: ids, or bits.
    pairs = zip(a.ids[:common], b.ids[:common], strict=True) if comparable else ()
    equal = [x == y for x, y in pairs]
    scales = tuple(
        ScaleDifference(
            size=a.sizes[k],
            agreement=float(equal[k].mean()) if comparable else None,
            psnr=_of(psnr, a, b, k),
            ssim=_of(ssim, a, b, k),
        )
        for k in range(common)
    )
    overall = float(np.concatenate([e.ravel() for e in equal]).mean()) if equal else None
    return Difference(
        scales=scales,
        agreement=overall if comparable else None,
        psnr=_of(psnr, a, b, -1),
        ssim=_of(ssim, a, b, -1),
        first=_first(equal, a.sizes) if comparable else None,
        comparable=comparable,
    )


def _of(measure, a: Trace, b: Trace, scale: int) -> float | None:
    """A measure of the pictures after a scale."""
    if not a.pictures or not b.pictures:
        return None
    x, y = a.pictures[scale], b.pictures[scale]
    return measure(x, y) if x.shape == y.shape else None


def _first(equal: list[np.ndarray], sizes: list[tuple[int, int]]) -> Divergence | None:
    for scale, same in enumerate(equal):
        different = np.flatnonzero(~same.reshape(len(same), -1).all(axis=1))
        if len(different):
            row, column = divmod(int(different[0]), sizes[scale][1])
            return Divergence(scale, row, column, sizes[scale])
    return None
