"""Scale schedules: the (height, width) of every token map of a next-scale prediction model.

Symbols follow VAR (https://arxiv.org/abs/2404.02905): scale *k* has ``h_k * w_k`` tokens, and the
transformer sees all scales concatenated from coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from numbers import Real

from var_spaces.errors import VarSpacesError

MAX_SCALES = 64
MAX_SIDE = 1024


@dataclass(frozen=True)
class ScaleSchedule:
    """Token-map sizes of a run, coarse to fine.

    Args:
        sizes: ``(h, w)`` of every scale in tokens, 1..1024 each; 1..64 scales.

    Raises:
        VarSpacesError: if there is no scale, too many, or a side is out of range.
    """

    sizes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        sizes = tuple((int(h), int(w)) for h, w in self.sizes)
        object.__setattr__(self, "sizes", sizes)
        if not 1 <= len(sizes) <= MAX_SCALES:
            raise VarSpacesError(
                f"A scale schedule needs 1 to {MAX_SCALES} scales, not {len(sizes)}."
            )
        for h, w in sizes:
            if not (1 <= h <= MAX_SIDE and 1 <= w <= MAX_SIDE):
                raise VarSpacesError(
                    f"Scale size {h}x{w} is out of range: each side must be 1 to {MAX_SIDE} tokens."
                )

    @classmethod
    def square(cls, patch_nums: Sequence[int]) -> ScaleSchedule:
        """Schedule of square maps, e.g. ``(1, 2, 3, 4, 5, 6, 8, 10, 13, 16)`` for 256 px.

        Raises:
            VarSpacesError: if an entry is not one number, or as for any schedule.
        """
        for p in patch_nums:
            if not isinstance(p, Real):
                raise VarSpacesError(
                    f"patch_nums holds one side per scale, of square maps, not {str(p)[:60]}: maps "
                    "that are not square come from the schedule of a run."
                )
        return cls(tuple((p, p) for p in patch_nums))

    @property
    def num_scales(self) -> int:
        return len(self.sizes)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of every scale, ``h_k * w_k``."""
        return tuple(h * w for h, w in self.sizes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Start of every scale in the concatenated sequence; the total comes last."""
        return (0, *accumulate(self.lengths))

    @property
    def total(self) -> int:
        """Tokens of all scales together, ``L``."""
        return self.offsets[-1]

    @property
    def last(self) -> tuple[int, int]:
        return self.sizes[-1]

    def ratio(self, scale: int) -> float:
        """Position of a scale in the schedule, ``r_k = k / (S - 1)`` in [0, 1]."""
        return scale / (self.num_scales - 1) if self.num_scales > 1 else 0.0

    def scales_of(self, length: int) -> int:
        """How many scales the first ``length`` tokens are.

        Raises:
            VarSpacesError: if they do not end where a scale ends.
        """
        if length not in self.offsets[1:]:
            raise VarSpacesError(
                f"{length - self.lengths[0]} token inputs do not end where a scale of {self.sizes} "
                f"ends: give {self.total - self.lengths[0]}."
            )
        return self.offsets.index(length)

    def span(self, scale: int) -> slice:
        """Positions of one scale in the concatenated sequence."""
        return slice(self.offsets[scale], self.offsets[scale + 1])
