"""What a search looks at: rewards of finished or half-finished images, features that tell them
apart. Both are methods, one file each in ``var_spaces/rewards``. No torch here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.decoding.base import Part

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

# (images (N, H, W, 3) uint8, which of the asked each shows) -> rewards (N,), higher is better
Score = Callable[["np.ndarray", Sequence[int]], "Tensor"]
# images (N, H, W, 3) uint8 -> features (N, L, D) of L patches
Describe = Callable[["np.ndarray"], "Tensor"]


@dataclass(frozen=True)
class Asked:
    """What an image is to show: in words, and as class and style where the task has them."""

    text: str = ""
    label: str | None = None
    style: str | None = None


class Reward(Part):
    """Says how well an image shows what was asked for."""

    kind = "reward"

    def check(self, asked: Asked) -> None:
        """Refuse what it cannot score, before any weight is read.

        Raises:
            VarSpacesError: saying what it can score.
        """

    @abstractmethod
    def load(self, asked: Sequence[Asked], device: torch.device) -> Score:
        """Get ready to score images of a run; what follows from ``asked`` is computed once.

        Raises:
            VarSpacesError: if it cannot score what is asked, or something is not installed.
        """


class Features(Part):
    """Describes what an image looks like, patch by patch."""

    kind = "features"

    @abstractmethod
    def load(self, device: torch.device) -> Describe:
        """Get ready to describe images.

        Raises:
            VarSpacesError: if something is not installed.
        """
