"""Images as evaluators take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.pictures import as_rgb

if TYPE_CHECKING:
    from PIL import Image


def as_batch(images: Tensor | np.ndarray | Sequence[Image.Image | np.ndarray], side: int) -> Tensor:
    """Images of any size as ``(B, 3, side, side)`` float32 in [-1, 1].

    Args:
        images: a float tensor ``(B, 3, H, W)`` in [-1, 1] (gradients pass), or uint8 arrays
            ``(B, H, W, 3)``, or a sequence of uint8 arrays ``(H, W, 3)`` or PIL images.

    Raises:
        VarSpacesError: for anything else.
    """
    if torch.is_tensor(images):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise VarSpacesError(
                f"Images are {images.dtype} {tuple(images.shape)}; a tensor must be float "
                "(B, 3, H, W) in [-1, 1]."
            )
        return _resize(images.float(), side)
    return torch.cat([_resize(_from_bytes(image), side) for image in images])


def _from_bytes(image: Any) -> Tensor:
    """One picture to ``(1, 3, H, W)``."""
    pixels = np.asarray(as_rgb(image) if hasattr(image, "convert") else image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise VarSpacesError(
            f"A picture is {pixels.dtype} {pixels.shape}; give PIL images or uint8 arrays "
            "(H, W, 3)."
        )
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def _resize(images: Tensor, side: int) -> Tensor:
    if images.shape[2:] == (side, side):
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", antialias=True)
    return resized.clamp(-1, 1)
