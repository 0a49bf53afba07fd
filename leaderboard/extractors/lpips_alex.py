"""The network of LPIPS: AlexNet with calibrated weights, by torchmetrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import data_file, digest, need
from leaderboard.extractors.squash import squashed
from var_spaces.methods import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

NAME = "alexnet-owt-7be5be79.pth"
URL = f"https://download.pytorch.org/models/{NAME}"


@register
class LpipsAlex(Extractor):
    """Distances of two batches, not features."""

    name = "lpips-alex"
    title = "LPIPS AlexNet"
    paper = "https://arxiv.org/abs/1801.03924"

    resize: ClassVar[str] = "none"
    dim: ClassVar[int] = 1
    side: ClassVar[int | None] = None

    def weights(self) -> Path:
        need("torchmetrics", "torchmetrics torchvision")
        return data_file(f"torch/hub/checkpoints/{NAME}", URL)

    def weights_sha256(self) -> str:
        return digest(self.weights())

    def load(self, device: torch.device) -> LpipsNetwork:
        return LpipsNetwork(self.weights(), device, self.side)


@register
class LpipsAlex256(LpipsAlex):
    """As ARBooth measures diversity (arXiv 2504.02612): both images at 256 px."""

    name = "lpips-alex-256"
    title = "LPIPS AlexNet, 256 px"

    resize = "256 bicubic antialias"
    side = 256


class LpipsNetwork:
    """Args:
    weights: AlexNet in the folder layout of ``torch.hub``, where torchvision looks for it.
    side: pixels along a side that both images are squashed to; None leaves them as they are.
    """

    def __init__(self, weights: Path, device: torch.device, side: int | None = None) -> None:
        import torch
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        before = torch.hub.get_dir()
        torch.hub.set_dir(str(weights.parents[1]))
        try:
            self.model = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)
        finally:
            torch.hub.set_dir(before)
        self.device, self.side = device, side

    def __call__(self, images: np.ndarray) -> np.ndarray:
        raise NotImplementedError("LPIPS compares two images; see distance()")

    def distance(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """LPIPS of every image ``(H, W, 3)`` uint8 with the other of the same row, float64."""
        import torch

        if self.side is not None:
            images, others = squashed(images, self.side), squashed(others, self.side)
        pairs = [
            torch.from_numpy(x).to(self.device).permute(0, 3, 1, 2).float() / 255
            for x in (images, others)
        ]
        with torch.no_grad():
            found = [self.model(a[None], b[None]).item() for a, b in zip(*pairs, strict=True)]
        return torch.tensor(found, dtype=torch.float64).numpy()
