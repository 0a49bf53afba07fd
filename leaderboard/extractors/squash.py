"""The plainest resize: to a square, whatever shape a picture has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def squashed(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Pictures ``(B, 3, H, W)`` in 0..1 as ``(B, 3, side, side)``, bicubic with antialias."""
    import torch.nn.functional as F

    return F.interpolate(pixels, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
