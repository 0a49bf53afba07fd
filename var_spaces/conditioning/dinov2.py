"""DINOv2, the encoder of what a subject is in the published EchoGen models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.conditioning.image import EncodeImages, ImageEncoder
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PER_256 = 16  # patches along 256 pixels of the picture: 224 pixels after the resize, 14 each


@register
class DINOv2Encoder(ImageEncoder):
    """Class token and patch tokens of the last block, normed."""

    name = "dinov2"
    title = "DINOv2"
    paper = "https://arxiv.org/abs/2304.07193"

    checkpoint: str = Field(
        "facebook/dinov2-base", max_length=256, description="repository on the Hub, or a folder"
    )

    def patches(self, side: int) -> int:
        return self._along(side) ** 2

    def load(self, device: torch.device | str) -> EncodeImages:
        import torch

        from var_spaces.evaluators.dinov2 import dinov2

        network = dinov2(self.checkpoint, str(device))

        def encode(images: Tensor) -> Tensor:
            whole, patches = network(images, self._along(images.shape[-1]))
            return torch.cat([whole.unsqueeze(1), patches], 1)

        return encode

    @staticmethod
    def _along(side: int) -> int:
        return PER_256 * max(1, side // 256)
