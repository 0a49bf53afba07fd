"""Published CLIP models, run by open_clip with their own preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import digest, hub_file, need
from leaderboard.extractors.squash import squashed
from var_spaces.methods import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch


class OpenClip(Extractor):
    """Base class: unit-length features.

    Attributes:
        architecture: name that open_clip knows.
        repository: of the Hub.
        file: of its weights.
        side: pixels along a side that pictures are squashed to before; None leaves them whole.
    """

    paper = "https://arxiv.org/abs/2103.00020"

    architecture: ClassVar[str]
    repository: ClassVar[str]
    file: ClassVar[str] = "open_clip_model.safetensors"
    reads_text: ClassVar[bool] = True
    side: ClassVar[int | None] = None

    def weights(self) -> Path:
        need("open_clip", "open-clip-torch")
        return hub_file(self.repository, self.file)

    def weights_sha256(self) -> str:
        return digest(self.weights())

    def load(self, device: torch.device) -> OpenClipNetwork:
        return OpenClipNetwork(self.architecture, str(self.weights()), device, self.side)


@register
class VitB32(OpenClip):
    """``(B, 512)``."""

    name = "clip-vit-b-32"
    title = "CLIP ViT-B/32 (OpenAI)"
    architecture = "ViT-B-32-quickgelu"
    repository = "timm/vit_base_patch32_clip_224.openai"
    resize = "224 bicubic antialias crop"
    dim = 512


@register
class PlainVitB32(VitB32):
    """``(B, 512)``; as ARBooth measures it (arXiv 2504.02612): whole pictures at 256 px first, so
    that nothing is cropped."""

    name = "clip-vit-b-32-plain"
    title = "CLIP ViT-B/32 (OpenAI), 256 px squashed"
    resize = "256 bicubic antialias squashed, 224 bicubic antialias"
    side = 256


@register
class VitL14(OpenClip):
    """``(B, 768)``."""

    name = "clip-vit-l-14"
    title = "CLIP ViT-L/14 (OpenAI)"
    architecture = "ViT-L-14-quickgelu"
    repository = "timm/vit_large_patch14_clip_224.openai"
    resize = "224 bicubic antialias crop"
    dim = 768


@register
class VitL14At336(OpenClip):
    """``(B, 768)``; that of CMMD."""

    name = "clip-vit-l-14-336"
    title = "CLIP ViT-L/14, 336 px (OpenAI)"
    architecture = "ViT-L-14-336-quickgelu"
    repository = "timm/vit_large_patch14_clip_336.openai"
    resize = "336 bicubic antialias crop"
    dim = 768


@register
class HpsV21(OpenClip):
    """``(B, 1024)``; a ViT-H/14 that was tuned on choices of people."""

    name = "hps-v2-1"
    title = "HPS v2.1 (ViT-H/14)"
    paper = "https://arxiv.org/abs/2306.09341"
    architecture = "ViT-H-14"
    repository = "xswu/HPSv2"
    file = "HPS_v2.1_compressed.pt"
    resize = "224 bicubic antialias crop"
    dim = 1024


class OpenClipNetwork:
    """See :class:`leaderboard.extractors.base.TextNetwork`.

    Args:
        architecture: name of a model of open_clip, or ``local-dir:FOLDER``.
        weights: file of its weights; None for a folder, which has its own.
        side: pixels along a side that pictures are squashed to before its own resize; None: none.
    """

    def __init__(
        self,
        architecture: str,
        weights: str | None,
        device: torch.device,
        side: int | None = None,
    ) -> None:
        import open_clip

        model, _, self.preprocess = open_clip.create_model_and_transforms(
            architecture, pretrained=weights, device=device
        )
        self.model, self.device, self.side = model.eval(), device, side
        self.words = open_clip.get_tokenizer(architecture)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import torch
        from PIL import Image

        images = images if self.side is None else squashed(images, self.side)
        pixels = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        with torch.no_grad():
            found = self.model.encode_image(pixels.to(self.device), normalize=True)
        return found.float().cpu().numpy()

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        with torch.no_grad():
            ids = self.words(list(texts)).to(self.device)
            return self.model.encode_text(ids, normalize=True).float().cpu().numpy()
