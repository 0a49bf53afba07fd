"""Images as evaluators take them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def unit(images: np.ndarray, size: int, device: torch.device, mode: str = "bilinear") -> Tensor:
    """Images ``(N, H, W, 3)`` uint8 as ``(N, 3, size, size)`` float32 in [0, 1], antialiased."""
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    if pixels.shape[-2:] == (size, size):
        return pixels
    return F.interpolate(pixels, (size, size), mode=mode, antialias=True).clamp(0, 1)
