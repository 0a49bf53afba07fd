"""From the tokenizer's float images to 8-bit pixels, by one rule for the whole project."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from var_spaces import cpu
from var_spaces.decoding.backbone import Tokenizer
from var_spaces.errors import VarSpacesError

TOGETHER = 8 * 32 * 32  # latent positions that are decoded at once
TOGETHER_HERE = 8 * 8 * 8  # on a CPU, of images that share a batch anyway


def to_uint8(images: Tensor) -> np.ndarray:
    """Pixels ``(B, H, W, 3)`` uint8 of images ``(B, 3, H, W)`` in [-1, 1], rounded to nearest."""
    pixels = (images.float() + 1).mul_(127.5).round_().clamp_(0, 255)
    return pixels.permute(0, 2, 3, 1).to("cpu", torch.uint8).contiguous().numpy()


def decode(tokenizer: Tokenizer, f_hat: Tensor, half: bool = False) -> np.ndarray:
    """Pixels ``(B, H, W, 3)`` of latents ``(B, z, h, w)``.

    A few images at a time, so that activations need no more memory for many images than for few.
    On a CPU it is one at a time unless sums may have any order (``cpu.any_order``): an image then
    comes out the same, to the last bit, in any batch.

    Args:
        half: compute in float16, channels last; an image that overflows is decoded in float32.

    Raises:
        VarSpacesError: if the decoder gives no numbers.
    """
    here = TOGETHER_HERE if cpu.is_any_order() else 1
    together = here if _is_here(f_hat) else TOGETHER
    size = max(1, together // (f_hat.shape[-2] * f_hat.shape[-1]))
    return np.concatenate([_pixels(tokenizer, part, half) for part in f_hat.split(size)])


def _pixels(tokenizer: Tokenizer, f_hat: Tensor, half: bool) -> np.ndarray:
    """Pixels of some latents.

    Raises:
        VarSpacesError: if they are no numbers.
    """
    with torch.autocast(f_hat.device.type, torch.float16, enabled=half):
        images = tokenizer.decode(_last(f_hat) if half else f_hat)
    broken = images.isnan().any()
    pixels = to_uint8(images)  # waits for the device; what is asked next is there by then
    if broken and half:
        return _pixels(tokenizer, f_hat, half=False)
    if broken:
        raise VarSpacesError(
            "The tokenizer's decoder gave no numbers: its weights are damaged, or the latent "
            "overflowed; load the model's files anew."
        )
    return pixels


def _is_here(x: Tensor) -> bool:
    return x.device.type == "cpu"


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
