"""The embedded judge's features, read out for the things and styles of the suite of styles."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from leaderboard.extractors.judge import JudgeNetwork, judge_card
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np
    import torch


@register
class StyleReadOut(Extractor):
    """Names of a thing and a style, see ``leaderboard/styles/read_out.py``."""

    name = "style-read-out"
    title = "Embedded judge, read out"

    resize: ClassVar[str] = "64 area"
    dim: ClassVar[int] = 832

    def weights_sha256(self) -> str:
        from leaderboard.styles.read_out import FILE

        own = hashlib.sha256(FILE.read_bytes()).hexdigest()
        return hashlib.sha256(f"{judge_card()['weights_sha256']} {own}".encode()).hexdigest()

    def load(self, device: torch.device) -> StyleReader:
        return StyleReader(device)


class StyleReader:
    """See :class:`leaderboard.extractors.base.Network`."""

    def __init__(self, device: torch.device) -> None:
        from leaderboard.styles.read_out import ReadOut

        self.judge = JudgeNetwork(device)
        self.read_out = ReadOut(device)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self._features(images).cpu().numpy()

    def names(self, images: np.ndarray) -> tuple[list[str], list[str]]:
        """Thing and style that it sees in every image."""
        return self.read_out(self._features(images))

    def _features(self, images: np.ndarray) -> torch.Tensor:
        import torch

        from leaderboard.styles.read_out import features

        with torch.no_grad():
            return features(self.judge.judge, self.judge.pixels(images))
