"""Perceptual loss with a network that this project trained: no weights from elsewhere.

As LPIPS (https://arxiv.org/abs/1801.03924): features of several layers, unit length per position,
squared distance; without its calibrated weights per channel, which no offline network has. The
network is the trunk of the judge (:mod:`var_spaces.training.judge`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.tokenizers.autoencoder import Encoder


class PerceptualLoss(nn.Module):
    """Distance of two batches of images ``(B, 3, H, W)`` in [-1, 1] under a frozen encoder."""

    def __init__(self, trunk: Encoder) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Features of every resolution and of the middle block, unit length per position."""
        trunk = self.trunk
        x = F.pixel_unshuffle(images, trunk.stem_patch) if trunk.stem_patch > 1 else images
        x = trunk.conv_in(x)
        found = []
        for level in trunk.down[:-1]:
            x = level.blocks(x)
            found.append(x)
            x = level.downsample(x)
        x = trunk.down[-1].blocks(x)
        found += [x, trunk.mid(x)]
        return [F.normalize(layer.float(), dim=1) for layer in found]

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.layers(reference)
        pairs = zip(self.layers(images), wanted, strict=True)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).mean()
