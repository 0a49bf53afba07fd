"""Image encoders: a reference picture to one token for the whole and one for every patch.

Listing them imports no torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from var_spaces.methods import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Pictures (B, 3, H, W) in [-1, 1] -> tokens (B, 1 + S, E): the whole first, then the patches
EncodeImages = Callable[["Tensor"], "Tensor"]


class ImageEncoder(Method):
    """Base class of image encoders; fields say which weights."""

    kind: ClassVar[str] = "image_encoder"

    @abstractmethod
    def patches(self, side: int) -> int:
        """S, the number of patch tokens of a square picture of ``side`` pixels."""

    @abstractmethod
    def load(self, device: torch.device | str) -> EncodeImages:
        """Read the weights.

        Raises:
            VarSpacesError: if they are missing.
        """
