"""A picture whose content and style are to be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.pictures import digest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its two words.

    Attributes:
        content: word for what it shows.
        style: word for how it is drawn, without "style".
        pixels: ``(H, W, 3)`` uint8.
        unseen: what of it no generator was trained on: "pair", "style", "concept" or ""; for
            pictures of the atlas.
    """

    content: str
    style: str
    pixels: np.ndarray
    unseen: str = ""

    @property
    def name(self) -> str:
        return f"{self.content}, {self.style}"

    @property
    def sha256(self) -> str:
        """Content hash, as items name it."""
        return digest(self.pixels)
