"""The embedded judge: a small classifier of the sprites, trained apart from all generators.

It knows 64 things in five styles and nothing else. Its features make the offline Frechet distance,
which therefore says so in its name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from leaderboard.extractors.base import Extractor
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np
    import torch

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "evaluators" / "judge"


@register
class JudgeFeatures(Extractor):
    """Pooled features of the judge, ``(B, 192)``."""

    name = "judge"
    title = "Embedded judge"

    resize: ClassVar[str] = "64 area"
    dim: ClassVar[int] = 192

    def weights_sha256(self) -> str:
        return judge_card()["weights_sha256"]

    def load(self, device: torch.device) -> JudgeNetwork:
        return JudgeNetwork(device)


class JudgeNetwork:
    """The judge on images ``(B, H, W, 3)`` uint8 of any size."""

    def __init__(self, device: torch.device) -> None:
        from var_spaces.evaluators.judge import load_judge

        judge, card = load_judge(FOLDER)
        self.judge, self.device = judge.to(device), device
        self.classes, self.styles = card["classes"], card["styles"]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            return self.judge.features(self.pixels(images)).cpu().numpy()

    def names(self, images: np.ndarray) -> tuple[list[str], list[str]]:
        """Class and style that it sees in every image."""
        import torch

        with torch.no_grad():
            concepts, styles = self.judge(self.pixels(images))
        return (
            [self.classes[i] for i in concepts.argmax(1).tolist()],
            [self.styles[i] for i in styles.argmax(1).tolist()],
        )

    def layers(self, images: np.ndarray) -> list[torch.Tensor]:
        """Features of several layers, unit length per position, ``(B, c, h, w)`` each."""
        import torch

        from var_spaces.training.losses.perceptual import PerceptualLoss

        with torch.no_grad():
            return PerceptualLoss(self.judge.trunk).layers(self.pixels(images))

    def distance(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Squared distance of unit features of every image and the other of the same row, mean
        over positions and layers, float64."""
        import numpy as np

        pairs = zip(self.layers(images), self.layers(others), strict=True)
        found = [(a - b).square().sum(1).mean((1, 2)).double().cpu().numpy() for a, b in pairs]
        return np.mean(found, axis=0)

    def pixels(self, images: np.ndarray) -> torch.Tensor:
        """``(B, 3, 64, 64)`` in [-1, 1]."""
        import torch
        import torch.nn.functional as F

        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float()
        if pixels.shape[-2:] != (64, 64):
            pixels = F.interpolate(pixels, size=(64, 64), mode="area")
        return pixels / 127.5 - 1


def judge_card() -> dict:
    """Its card.

    Raises:
        VarSpacesError: if it is not there.
    """
    try:
        return json.loads((FOLDER / "card.json").read_text("utf-8"))
    except OSError:
        raise VarSpacesError(
            "The judge is missing: train it with python -m var_spaces.training judge."
        ) from None
