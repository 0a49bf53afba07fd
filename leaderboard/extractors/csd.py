"""CSD (https://arxiv.org/abs/2404.01292): a CLIP ViT-L/14 whose features tell styles apart.

Published as ``tomg-group-umd/CSD-ViT-L``, a whole training checkpoint that must be unpickled; the
same weights as safetensors are ``yuxi-liu-wired/CSD``. Two heads on one trunk: style, and content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.files import digest, hub_file, need
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

REPOSITORY, FILE = "yuxi-liu-wired/CSD", "model.safetensors"
TRUNK = "backbone."


class Csd(Extractor):
    """Base class: unit-length features ``(B, 768)``.

    Attributes:
        architecture: name that open_clip knows.
        head: key of the projection.
    """

    paper = "https://arxiv.org/abs/2404.01292"
    resize: ClassVar[str] = "224 bicubic antialias crop"
    dim: ClassVar[int] = 768

    architecture: ClassVar[str] = "ViT-L-14-quickgelu"
    head: ClassVar[str]

    def weights(self) -> Path:
        need("open_clip", "open-clip-torch")
        return hub_file(REPOSITORY, FILE)

    def weights_sha256(self) -> str:
        return digest(self.weights())

    def load(self, device: torch.device) -> CsdNetwork:
        return CsdNetwork(self.architecture, self.head, self.weights(), device)


@register
class CsdContent(Csd):
    """CSD-C."""

    name = "csd-content"
    title = "CSD ViT-L/14, content"
    head = "last_layer_content"


@register
class CsdStyle(Csd):
    """CSD-S."""

    name = "csd-style"
    title = "CSD ViT-L/14, style"
    head = "last_layer_style"


class CsdNetwork:
    """See :class:`leaderboard.extractors.base.Network`.

    Raises:
        VarSpacesError: if the file is not of this architecture; says what is missing or too much.
    """

    def __init__(self, architecture: str, head: str, weights: Path, device: torch.device) -> None:
        import open_clip
        from safetensors.torch import load_file

        model, _, self.preprocess = open_clip.create_model_and_transforms(architecture)
        state = load_file(weights)
        self.trunk = model.visual
        self.trunk.proj = None
        trunk = {key.removeprefix(TRUNK): v for key, v in state.items() if key.startswith(TRUNK)}
        try:
            self.trunk.load_state_dict(trunk)
            self.head = state[head].to(device)
        except (RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise VarSpacesError(f"{weights.name} of {REPOSITORY} does not fit: {reason}") from None
        self.trunk, self.device = self.trunk.eval().to(device), device

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import torch
        import torch.nn.functional as F
        from PIL import Image

        pixels = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        with torch.no_grad():
            found = F.normalize(self.trunk(pixels.to(self.device)) @ self.head, dim=-1)
        return found.float().cpu().numpy()
