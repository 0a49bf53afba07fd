"""A patch discriminator with hinge loss, trained beside the tokenizer.

PatchGAN (https://arxiv.org/abs/1611.07004) with the hinge loss of VQ-GAN; no adaptive weight, as in
FVQ. It is never exported.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BETAS = (0.5, 0.9)


class PatchDiscriminator(nn.Module):
    """Images ``(B, 3, S, S)`` to one logit per patch ``(B, 1, h, w)``; above 0 means real."""

    def __init__(self, ch: int, size: int) -> None:
        super().__init__()
        layers = max(1, min(3, size.bit_length() - 4))  # the published 3 from 64 pixels on
        widths = [ch * min(2**i, 8) for i in range(layers + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for index, (inner, outer) in enumerate(itertools.pairwise(widths)):
            stride = 2 if index < layers - 1 else 1
            blocks += [
                nn.Conv2d(inner, outer, 4, stride, 1, bias=False),
                nn.GroupNorm(8, outer),  # batch statistics would differ between processes
                nn.LeakyReLU(0.2),
            ]
        self.net = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


class Adversary:
    """The discriminator and its optimiser.

    Args:
        lr: peak learning rate; the caller's schedule sets ``rate``.
        ch: channels of its first layer, a multiple of 8.
        size: side of the images in pixels, at least 8.
    """

    def __init__(self, lr: float, ch: int, size: int, device: torch.device) -> None:
        self.network = PatchDiscriminator(ch, size).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=lr, betas=BETAS)
        self.lr = lr

    def rate(self, factor: float) -> None:
        """Follow the schedule of the tokenizer's optimiser."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor

    def learn(self, real: Tensor, fake: Tensor) -> Tensor:
        """One step of the discriminator; returns its hinge loss."""
        self.network.requires_grad_(True)
        loss = hinge(self.network(real), self.network(fake.detach()))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._average_gradients()
        self.optimizer.step()
        self.network.requires_grad_(False)
        return loss.detach()

    def _average_gradients(self) -> None:
        """Processes see different images and must keep one discriminator."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for parameter in self.network.parameters():
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= torch.distributed.get_world_size()

    def judge(self, fake: Tensor) -> Tensor:
        """What the tokenizer minimises; the discriminator itself gets no gradient."""
        return -self.network(fake).mean()

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of logits of real and of reconstructed images."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())
