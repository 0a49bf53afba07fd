"""The embedded CLIP at work: features of images and prompts, and how well they fit.

``embedded()`` gives the one instance of a device. It knows drawings of the scenes it was trained on
and nothing of photographs; numbers made with it must say so ("embedded CLIP") and are compared with
numbers of no other CLIP.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.evaluators.clip_network import Clip, ClipConfig
from var_spaces.evaluators.folder import EVALUATORS, fill, read_card
from var_spaces.evaluators.pixels import as_batch

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Pictures = Tensor | np.ndarray | Sequence[Image.Image | np.ndarray]

BATCH = 64
KEPT_PROMPTS = 4096

_lock = RLock()
_loaded: dict[tuple[Path, str], ClipScorer] = {}


class ClipScorer:
    """A loaded CLIP. Features are ``(N, D)`` float32 on the network's device, of unit length.

    Attributes:
        network: the module; ``network.visual.maps`` gives intermediate features.
        card: what it was trained on and how well it does.
        dim: D.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        """Raises VarSpacesError if the folder holds no CLIP."""
        self.card: dict[str, Any] = read_card(folder)
        architecture = self.card["architecture"]
        self.network = fill(Clip(ClipConfig(**architecture)), folder).to(device)
        self.device = torch.device(device)
        self.dim: int = self.network.config.embed_dim
        self._words = word_pieces(folder)
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    @torch.no_grad()
    def images(self, images: Pictures, batch: int = BATCH) -> Tensor:
        """Features of images of any size: a float tensor ``(B, 3, H, W)`` in [-1, 1], uint8 arrays
        ``(H, W, 3)`` or PIL images."""
        side = self.network.config.image_size
        parts = [
            self.network.encode_image(as_batch(images[at : at + batch], side).to(self.device))
            for at in range(0, len(images), batch)
        ]
        found = torch.cat(parts) if parts else torch.zeros(0, self.dim, device=self.device)
        return F.normalize(found, dim=1)

    @torch.no_grad()
    def texts(self, prompts: Sequence[str], batch: int = BATCH) -> Tensor:
        """Features of prompts; each is read once and then remembered."""
        with _lock:
            new = [p for p in dict.fromkeys(prompts) if p not in self._texts]
            for at in range(0, len(new), batch):
                part = new[at : at + batch]
                features = F.normalize(self.network.encode_text(self._ids(part)), dim=1)
                self._texts.update(zip(part, features, strict=True))
            found = [self._texts[prompt] for prompt in prompts]
            while len(self._texts) > KEPT_PROMPTS:
                self._texts.popitem(last=False)
        return torch.stack(found) if found else torch.zeros(0, self.dim, device=self.device)

    def similarity(self, images: Pictures, prompts: Sequence[str]) -> Tensor:
        """Cosines ``(images, prompts)``, -1..1."""
        return self.images(images) @ self.texts(prompts).T

    def score(self, images: Pictures, prompts: Sequence[str]) -> Tensor:
        """CLIP score ``(N,)`` of images, each with its own prompt: 100 times the cosine, at least 0
        (https://arxiv.org/abs/2104.08718 with the factor of torchmetrics)."""
        return (100 * (self.images(images) * self.texts(prompts)).sum(1)).clamp(min=0)

    def _ids(self, prompts: Sequence[str]) -> Tensor:
        found = self._words(
            list(prompts),
            padding=True,
            truncation=True,
            max_length=self.network.config.context,
            return_tensors="pt",
        )
        return found["input_ids"].to(self.device)


def embedded(device: torch.device | str = "cpu", folder: Path | None = None) -> ClipScorer:
    """The CLIP of this project, loaded when it is first asked for and shared from then on.

    Args:
        device: where it runs.
        folder: another folder of the same layout.
    """
    folder = folder or EVALUATORS / "clip"
    with _lock:
        key = (folder, str(device))
        if key not in _loaded:
            _loaded[key] = ClipScorer(folder, device)
        return _loaded[key]


def word_pieces(folder: Path) -> Any:
    """The tokenizer in a folder, of transformers."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
