"""Content encoders: how a reference picture looks, as latents of an autoencoder.

Listing them imports no torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from var_spaces.methods import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Pictures (B, 3, H, W) in [-1, 1] -> latents (B, L, z), row by row
EncodeContent = Callable[["Tensor"], "Tensor"]


class ContentEncoder(Method):
    """Base class of content encoders; fields say which weights."""

    kind: ClassVar[str] = "content_encoder"

    @abstractmethod
    def load(self, tokenizer: Any, device: torch.device | str) -> EncodeContent:
        """Read the weights.

        Args:
            tokenizer: of the model that draws.

        Raises:
            VarSpacesError: if they are missing.
        """
