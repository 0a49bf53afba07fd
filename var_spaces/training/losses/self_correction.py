"""Bitwise self-correction: train on inputs whose bits are partly wrong (Infinity, §3.4).

Flipped bits enter the accumulated latent, and later targets are computed against it, so the model
learns to repair its own mistakes. The target of a scale is what it should have been.
"""

from __future__ import annotations

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError


class BitFlips:
    """Flips the bits of the first scales, each scale with a rate of its own.

    A rate is drawn uniformly from 0, 0.01, ... ``strength`` once per batch and scale, as published.

    Args:
        strength: highest rate, 0..1; published 0.3 for training, 0.2 for validation.
        scales: number of scales, coarse ones first, that are changed.
        generator: on the CPU; equal generators flip equal bits on every device.
    """

    def __init__(self, strength: float, scales: int, generator: torch.Generator) -> None:
        if not 0 <= strength <= 1:
            raise VarSpacesError(f"A rate of flipped bits is 0 to 1, not {strength}.")
        self.strength, self.scales, self.generator = strength, scales, generator

    def __call__(self, scale: int, bits: Tensor) -> Tensor:
        """Bits ``(B, h, w, d)`` bool of a scale, some of them flipped."""
        if scale >= self.scales:
            return bits
        steps = round(100 * self.strength) + 1
        rate = torch.randint(steps, (), generator=self.generator).item() / 100
        flips = torch.rand(bits.shape, generator=self.generator) < rate
        return bits ^ flips.to(bits.device)
