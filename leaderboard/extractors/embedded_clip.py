"""The CLIP of this project: it knows drawings of the embedded data, no photographs.

Numbers made with it say "embedded CLIP" and are comparable with those of no other CLIP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np
    import torch


@register
class EmbeddedClip(Extractor):
    """Unit-length features, ``(B, 128)``."""

    name = "embedded-clip"
    title = "Embedded CLIP"
    paper = "https://arxiv.org/abs/2103.00020"

    resize: ClassVar[str] = "64 bicubic antialias"
    dim: ClassVar[int] = 128
    reads_text: ClassVar[bool] = True

    def weights_sha256(self) -> str:
        from var_spaces.evaluators.folder import EVALUATORS, read_card

        return read_card(EVALUATORS / "clip")["weights_sha256"]

    def load(self, device: torch.device) -> EmbeddedClipNetwork:
        return EmbeddedClipNetwork(device)


class EmbeddedClipNetwork:
    """See :class:`leaderboard.extractors.base.TextNetwork`."""

    def __init__(self, device: torch.device) -> None:
        from var_spaces.evaluators.clip import embedded

        self.scorer = embedded(device)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.scorer.images(images).cpu().numpy()

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.scorer.texts(texts).cpu().numpy()
