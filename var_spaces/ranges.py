"""What a number may be. Needs nothing, so that training machines can say it, too."""

from __future__ import annotations

from typing import NamedTuple


class Bounds(NamedTuple):
    """Allowed range of a number; ``None`` is no limit, ``open_*`` excludes the limit itself."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is inside."""
        above = self.low is None or (value > self.low if self.open_low else value >= self.low)
        below = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return above and below

    def __str__(self) -> str:
        if None not in (self.low, self.high) and not (self.open_low or self.open_high):
            return f"{self.low} to {self.high}"
        parts = []
        if self.low is not None:
            parts.append(f"{'above' if self.open_low else 'at least'} {self.low}")
        if self.high is not None:
            parts.append(f"{'below' if self.open_high else 'at most'} {self.high}")
        return " and ".join(parts)


class Multiple(NamedTuple):
    """A whole number that another one divides."""

    of: int

    def holds(self, value: int) -> bool:
        return value % self.of == 0

    def __str__(self) -> str:
        return f"a multiple of {self.of}"
