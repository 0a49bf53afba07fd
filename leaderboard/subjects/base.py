"""One thing that is drawn elsewhere, by its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.pictures import digest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Subject:
    """Pictures ``(H, W, 3)`` uint8 of one thing, and the word for it."""

    name: str
    word: str
    pictures: tuple[np.ndarray, ...]

    @property
    def sha256(self) -> str:
        """Content hash of the first picture."""
        return digest(self.pictures[0])
