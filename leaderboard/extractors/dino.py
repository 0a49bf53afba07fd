"""DINO and DINOv2, run by timm: image similarity of subjects (DINO-I) and FD-DINOv2."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import digest, hub_file, need
from leaderboard.extractors.squash import squashed
from var_spaces.methods import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

SIDE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet


class Dino(Extractor):
    """Base class: the class token after the last norm.

    Attributes:
        architecture: name that timm knows; its weights are ``timm/<name>`` on the Hub.
    """

    architecture: ClassVar[str]
    resize: ClassVar[str] = "224 bicubic antialias"
    side: ClassVar[int] = SIDE
    normalised: ClassVar[bool] = True

    def weights(self) -> Path:
        need("timm", "timm")
        return hub_file(f"timm/{self.architecture}", "model.safetensors")

    def weights_sha256(self) -> str:
        return digest(self.weights())

    def load(self, device: torch.device) -> DinoNetwork:
        return DinoNetwork(
            self.architecture, str(self.weights()), device, self.side, self.normalised
        )


@register
class DinoVitS16(Dino):
    """``(B, 384)``; that of DreamBooth's DINO score."""

    name = "dino-vit-s-16"
    title = "DINO ViT-S/16"
    paper = "https://arxiv.org/abs/2104.14294"
    architecture = "vit_small_patch16_224.dino"
    dim = 384


@register
class PlainDinoVitS16(DinoVitS16):
    """``(B, 384)``; as ARBooth measures it (arXiv 2504.02612): 256 px, values in [-1, 1]."""

    name = "dino-vit-s-16-plain"
    title = "DINO ViT-S/16, 256 px not normalised"
    resize = "256 bicubic antialias, not normalised"
    side = 256
    normalised = False


@register
class DinoV2VitL14(Dino):
    """``(B, 1024)``; that of FD-DINOv2 (arXiv 2306.04675)."""

    name = "dinov2-vit-l-14"
    title = "DINOv2 ViT-L/14"
    paper = "https://arxiv.org/abs/2304.07193"
    architecture = "vit_large_patch14_dinov2.lvd142m"
    dim = 1024


class DinoNetwork:
    """See :class:`leaderboard.extractors.base.Network`.

    Args:
        weights: file of its weights; None is random, for tests.
        side: pixels that it sees along a side.
        normalised: by mean and deviation of ImageNet; else values are in [-1, 1].
    """

    def __init__(
        self,
        architecture: str,
        weights: str | None,
        device: torch.device,
        side: int = SIDE,
        normalised: bool = True,
    ) -> None:
        import timm

        self.model = timm.create_model(
            architecture, checkpoint_path=weights or "", num_classes=0, img_size=side
        )
        self.model, self.device = self.model.eval().to(device), device
        self.side = side
        half = (0.5, 0.5, 0.5)
        self.mean, self.deviation = (MEAN, DEVIATION) if normalised else (half, half)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import torch

        pixels = torch.from_numpy(squashed(images, self.side)).to(self.device)
        pixels = pixels.permute(0, 3, 1, 2).float() / 255
        mean, deviation = (pixels.new_tensor(v).view(3, 1, 1) for v in (self.mean, self.deviation))
        with torch.no_grad():
            return self.model((pixels - mean) / deviation).float().cpu().numpy()
