"""Perceptual loss with a network that this project trained: no weights from elsewhere.

As LPIPS (https://arxiv.org/abs/1801.03924): features of several layers, unit length per position,
squared distance; without its calibrated weights per channel, which no offline network has. The
network is the trunk of the judge (:mod:`var_spaces.evaluators.judge`) or the image tower of
the embedded CLIP (:mod:`var_spaces.evaluators.clip_network`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from var_spaces.training.engine.plan import Plan

TRUNKS = {"judge": "trunk", "clip": "visual"}  # by family


class PerceptualLoss(nn.Module):
    """Distance of two batches of images ``(B, 3, H, W)`` in [-1, 1] under a frozen network.

    Args:
        network: has ``maps(images)``, a list of features ``(B, C, h, w)``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Features of every resolution, unit length per position."""
        return [F.normalize(layer.float(), dim=1) for layer in self.network.maps(images)]

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.layers(reference)
        pairs = zip(self.layers(images), wanted, strict=True)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).mean()


def trunk_loss(plan: Plan, name: str) -> PerceptualLoss:
    """The loss under a trained judge or CLIP by its id.

    Raises:
        VarSpacesError: if there is no such model or none that serves.
    """
    network = plan.evaluator(name, *TRUNKS)
    part = TRUNKS[type(network).__name__.lower()]
    return PerceptualLoss(getattr(network, part))
