"""The scene parser's network: what stands at every place of a scene, and on what background.

A scene holds at most one thing at each of five places, the corners and the middle. For each place
the network names concept (or none), style and colour; for the whole, both background colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from var_spaces.evaluators.claims import POSITIONS
from var_spaces.evaluators.clip_network import ResidualStages

PLACES = tuple(POSITIONS)
SIDE = 64  # pixels per side that it reads
GRID = 4  # cells per side of its last map
NONE = 0  # the concept of an empty place, and the colour of a thing left as it is


@dataclass(frozen=True)
class ParserConfig:
    """Sizes of the parser.

    Args:
        concepts, colours: labels, without the "none" that comes before them.
        styles, backgrounds: labels.
        width: channels of the first residual stage.
        layers: residual blocks of the three stages.
        hidden: width between features and labels.
        looks: how often every place looks at the last map, 1 or 4; with four the parts of a thing
            (its upper left, ...) are told apart.
    """

    concepts: int
    styles: int
    colours: int
    backgrounds: int
    width: int = 24
    layers: tuple[int, int, int] = (1, 1, 1)
    hidden: int = 256
    looks: int = 1


class Labels(NamedTuple):
    """Logits, or ids without the last dimension.

    Attributes:
        concept: (B, 5, 1 + concepts), 0 is none.
        style: (B, 5, styles).
        colour: (B, 5, 1 + colours), 0 is its own.
        background: (B, 2, backgrounds), top and bottom.
    """

    concept: Tensor
    style: Tensor
    colour: Tensor
    background: Tensor


class Parser(nn.Module):
    """Images ``(B, 3, 64, 64)`` in [-1, 1] to logits."""

    def __init__(self, config: ParserConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = ResidualStages(config.width, config.layers)
        width, hidden = self.trunk.out_channels, config.hidden
        self.where = nn.Parameter(first_looks() if config.looks == 4 else first_look())
        self.slot = nn.Parameter(torch.randn(len(PLACES), width * config.looks) * 0.02)
        self.mix = nn.Sequential(nn.Linear(width * config.looks, hidden), nn.GELU())
        self.concept = nn.Linear(hidden, 1 + config.concepts)
        self.style = nn.Linear(hidden, config.styles)
        self.colour = nn.Linear(hidden, 1 + config.colours)
        self.background = nn.Linear(width, 2 * config.backgrounds)

    def forward(self, images: Tensor) -> Labels:
        cells = self.trunk.maps(images)[-1].flatten(2)  # (B, C, cells)
        seen = (cells @ self.where.softmax(1).T).transpose(1, 2)  # (B, 5 looks, C)
        seen = seen.unflatten(1, (len(PLACES), -1)).flatten(2)
        things = self.mix(seen + self.slot)
        background = self.background(cells.mean(2)).unflatten(1, (2, -1))
        return Labels(self.concept(things), self.style(things), self.colour(things), background)


def first_look() -> Tensor:
    """``(5, cells)`` logits: every corner looks at its quarter, the middle everywhere."""
    half = GRID // 2
    looks = torch.zeros(len(PLACES), GRID, GRID)
    for place in range(4):
        row, column = divmod(place, 2)
        looks[place, row * half : (row + 1) * half, column * half : (column + 1) * half] = 3.0
    return looks.flatten(1)


def first_looks() -> Tensor:
    """``(5 * 4, cells)`` logits: every corner looks at the four cells of its quarter one by one,
    the middle at the four quarters."""
    half = GRID // 2
    looks = torch.zeros(len(PLACES), 4, GRID, GRID)
    for part in range(4):
        down, right = divmod(part, 2)
        for place in range(4):
            row, column = divmod(place, 2)
            looks[place, part, row * half + down, column * half + right] = 3.0
        looks[4, part, down * half : down * half + half, right * half : right * half + half] = 3.0
    return looks.flatten(2).flatten(0, 1)
