"""The judge, a classifier of concept and style of one drawn thing, apart from any generator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from var_spaces.evaluators.folder import fill, read_card
from var_spaces.tokenizers.autoencoder import Encoder, NetworkSizes, initialise


@dataclass(frozen=True)
class JudgeNetwork:
    """Sizes of the judge.

    Args:
        concepts, styles: number of labels of each kind.
        ch, ch_mult, width: widths of the convolutional trunk and of its output.
        stem_patch: pixels per side that the trunk's first layer reads at once.
    """

    concepts: int
    styles: int
    ch: int = 64
    ch_mult: tuple[int, ...] = (1, 2)
    width: int = 192
    stem_patch: int = 4


class Judge(nn.Module):
    """Convolutional classifier: images ``(B, 3, H, W)`` in [-1, 1] to concept and style logits."""

    def __init__(self, config: JudgeNetwork) -> None:
        super().__init__()
        self.config = config
        sizes = NetworkSizes.of(config, num_res_blocks=1, z_channels=config.width, norm_groups=16)
        self.trunk = Encoder(sizes)
        self.concept = nn.Linear(config.width, config.concepts)
        self.style = nn.Linear(config.width, config.styles)
        initialise(self)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features ``(B, width)``."""
        return self.trunk(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return self.concept(features), self.style(features)


def load_judge(folder: Path) -> tuple[Judge, dict[str, Any]]:
    """A trained judge and its card.

    Raises:
        VarSpacesError: if the folder holds none.
    """
    card = read_card(folder)
    return fill(Judge(JudgeNetwork(**card["architecture"])), folder), card


@torch.no_grad()
def hits(model: nn.Module, images: Tensor, concepts: Tensor, styles: Tensor) -> Tensor:
    """Whether concept and style are named right, ``(B, 2)`` bool."""
    by_concept, by_style = model(images)
    return torch.stack([by_concept.argmax(1) == concepts, by_style.argmax(1) == styles], 1)
