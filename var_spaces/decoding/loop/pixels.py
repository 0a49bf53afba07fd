"""From the tokenizer's float images to 8-bit pixels, by one rule for the whole project."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.backbone import Tokenizer
from var_spaces.errors import VarSpacesError


def to_uint8(images: Tensor) -> np.ndarray:
    """Pixels ``(B, H, W, 3)`` uint8 of images ``(B, 3, H, W)`` in [-1, 1], rounded to nearest."""
    pixels = (images.float() + 1).mul_(127.5).round_().clamp_(0, 255)
    return pixels.permute(0, 2, 3, 1).to("cpu", torch.uint8).contiguous().numpy()


def decode(tokenizer: Tokenizer, f_hat: Tensor) -> np.ndarray:
    """Pixels ``(B, H, W, 3)`` of latents ``(B, z, h, w)``.

    A few images at a time, so that activations need no more memory for many images than for few.
    On the CPU it is one at a time: an image then comes out the same, to the last bit, in any batch.

    Raises:
        VarSpacesError: if the decoder gives no numbers.
    """
    size = 1 if f_hat.device.type == "cpu" else 8
    return np.concatenate([_pixels(tokenizer.decode(part)) for part in f_hat.split(size)])


def _pixels(images: Tensor) -> np.ndarray:
    """Pixels of images that must be numbers.

    Raises:
        VarSpacesError: if they are not.
    """
    broken = images.isnan().any()
    pixels = to_uint8(images)  # waits for the device; what is asked next is there by then
    if broken:
        raise VarSpacesError(
            "The tokenizer's decoder gave no numbers: its weights are damaged, or the latent "
            "overflowed; load the model's files anew."
        )
    return pixels
