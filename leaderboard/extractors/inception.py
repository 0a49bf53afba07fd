"""Inception-v3 of December 2015, as all published FIDs use it.

Heusel et al. 2017 (arXiv 1706.08500). The network is torchvision's with the pooling of the original
graph; weights are the port ``pt_inception-2015-12-05-6726825d.pth``. Images of 0..255 are resized
to 299 as TensorFlow 1 does it (bilinear, no antialias, corners not centred) and become
(x - 128) / 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import data_file, digest, need
from var_spaces.methods import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

SIDE = 299
CLASSES = 1008
CHANNELS = 7  # of the spatial features
NAME = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAME}"


class Inception(Extractor):
    """Base class of all layers.

    Attributes:
        layer: "pool", "logits" or "spatial".
    """

    paper = "https://arxiv.org/abs/1706.08500"

    resize: ClassVar[str] = "299 tf1-bilinear"
    layer: ClassVar[str] = "pool"

    def weights(self) -> Path:
        need("torchvision", "torchvision")
        return data_file(NAME, URL)

    def weights_sha256(self) -> str:
        return digest(self.weights())

    def load(self, device: torch.device) -> InceptionNetwork:
        return InceptionNetwork(self.weights(), device, self.layer)


@register
class InceptionFeatures(Inception):
    """The last pooling, ``(B, 2048)``."""

    name = "inception"
    title = "Inception-v3 (FID)"
    dim = 2048


@register
class InceptionLogits(Inception):
    """1008 logits without bias, as the reference evaluator takes them."""

    name = "inception-logits"
    title = "Inception-v3 logits (IS)"
    dim = CLASSES
    layer = "logits"


@register
class InceptionSpatial(Inception):
    """Where things are: the first 7 channels of ``mixed_6/conv`` at 17 x 17 positions, row by row
    with channels last as the original graph has them, ``(B, 2023)``; those of sFID
    (arXiv 2103.03841)."""

    name = "inception-spatial"
    title = "Inception-v3, spatial (sFID)"
    dim = 17 * 17 * CHANNELS
    layer = "spatial"


class InceptionNetwork:
    """See :class:`leaderboard.extractors.base.Network`.

    Args:
        weights: the file; None is random, for tests.
        layer: what is read, see :class:`Inception`.
    """

    def __init__(self, weights: Path | None, device: torch.device, layer: str = "pool") -> None:
        import torch

        self.model, self.device, self.layer = build(), device, layer
        if weights is not None:
            self.model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.model = self.model.eval().to(device)
        self.seen: list[torch.Tensor] = []
        if layer == "spatial":
            # Blocks are mixed, mixed_1, ... in the original graph, so the seventh, Mixed_6d here,
            # is mixed_6; its first branch, convolution, norm and rectifier, is mixed_6/conv.
            branch = self.model.Mixed_6d.branch1x1
            branch.register_forward_hook(lambda _, inputs, found: self.seen.append(found))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import torch

        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            head, self.model.fc = self.model.fc, torch.nn.Identity()
            try:
                found = self.model((tf1_bilinear(pixels, SIDE) - 128) / 128)
            finally:
                self.model.fc = head
            if self.layer == "logits":
                found = found @ head.weight.T
            elif self.layer == "spatial":
                found = self.seen.pop()[:, :CHANNELS].permute(0, 2, 3, 1).flatten(1)
        return found.cpu().numpy()


def tf1_bilinear(images: torch.Tensor, side: int) -> torch.Tensor:
    """``tf.image.resize_bilinear`` of TensorFlow 1: output i looks at input i * in / out.

    Args:
        images: ``(B, C, H, W)``.
    """
    for axis in (2, 3):
        size = images.shape[axis]
        low, high, share = _taps(size, side, images)
        shape = [1, 1, 1, 1]
        shape[axis] = side
        share = share.view(shape)
        first, second = images.index_select(axis, low), images.index_select(axis, high)
        images = first + (second - first) * share
    return images


def _taps(size: int, side: int, like: torch.Tensor) -> tuple[Any, Any, Any]:
    import torch

    at = torch.arange(side, device=like.device, dtype=torch.float32) * (size / side)
    low = at.floor().long()
    return low, (low + 1).clamp(max=size - 1), (at - low).to(like.dtype)


def build() -> torch.nn.Module:
    """torchvision's network with the pooling of the original graph: averages do not count the
    border, and the last block takes the maximum."""
    import torch.nn.functional as F
    from torchvision.models import inception_v3

    model = inception_v3(
        weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False,
        transform_input=False,
    )  # fmt: skip

    def average(x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def maximum(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 3, stride=1, padding=1)

    for name in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"):
        _pool_with(getattr(model, f"Mixed_{name}"), average)
    _pool_with(model.Mixed_7c, maximum)
    return model


def _pool_with(block: Any, pool: Any) -> None:
    """Give the pooling branch of an Inception block another pooling of the block's input."""
    seen: dict[str, torch.Tensor] = {}
    block.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    block.branch_pool.register_forward_pre_hook(lambda *_: (pool(seen.pop("x")),))
