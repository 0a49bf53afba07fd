"""Pictures that are edited: frozen scenes of one thing each, in one file of the project.

``sources.png`` holds 24 of them, 64 px each, six in a row. They are scenes of the easy recipe whose
(concept, style) pairs occur in training, from a seed that no training run has; ``draw`` made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from var_spaces.pictures import digest, read

SHEET = Path(__file__).parent / "sources.png"
SIDE, ACROSS, COUNT = 64, 6, 24
SEED = 9_000_017
# Class and style of every picture, in reading order.
NAMES: tuple[tuple[str, str], ...] = (
    ("mushroom", "flat"),
    ("banana", "glossy"),
    ("turtle", "blob"),
    ("lemon", "soft"),
    ("automobile", "round"),
    ("birthday cake", "glossy"),
    ("beer mug", "soft"),
    ("birthday cake", "round"),
    ("sailboat", "blob"),
    ("penguin", "blob"),
    ("strawberry", "flat"),
    ("cherries", "soft"),
    ("dog", "soft"),
    ("sunflower", "soft"),
    ("lemon", "round"),
    ("doughnut", "blob"),
    ("banana", "round"),
    ("tulip", "round"),
    ("frog", "round"),
    ("tulip", "glossy"),
    ("cactus", "round"),
    ("panda", "round"),
    ("rose", "glossy"),
    ("rabbit", "blob"),
)


@dataclass(frozen=True, eq=False)
class Source:
    """A picture ``(64, 64, 3)`` uint8, its content hash, and what it shows."""

    pixels: np.ndarray
    sha256: str
    class_: str
    style: str


@lru_cache(maxsize=1)
def sources() -> tuple[Source, ...]:
    """All pictures, in reading order."""
    sheet = np.asarray(read(SHEET, "The sheet of sources").convert("RGB"))
    tiles = cut(sheet, ACROSS)
    return tuple(
        Source(pixels, digest(pixels), *names) for pixels, names in zip(tiles, NAMES, strict=True)
    )


def cut(sheet: np.ndarray, across: int) -> np.ndarray:
    """The square tiles ``(N, S, S, C)`` of a sheet ``(H, W, C)``, ``across`` in a row."""
    side = sheet.shape[1] // across
    rows = sheet.reshape(-1, side, across, side, sheet.shape[2]).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(-1, side, side, sheet.shape[2]))


def pictures() -> Mapping[str, np.ndarray]:
    """Pixels by content hash, as tasks take them."""
    return {source.sha256: source.pixels for source in sources()}


def draw() -> tuple[np.ndarray, list[tuple[str, str]]]:
    """The sheet as it was made, and its names: rendered from the sprite atlas."""
    from dataclasses import replace

    from var_spaces.training.data.atlas import Atlas
    from var_spaces.training.data.recipes import recipe
    from var_spaces.training.data.render import render
    from var_spaces.training.data.sampler import SceneSampler

    atlas = Atlas.load()
    scenes = SceneSampler(atlas, replace(recipe("easy"), split="train"))
    batch = scenes.batch(SEED, 0, COUNT)
    pixels = render(atlas, batch, SIDE).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1)
    rows = pixels.numpy().reshape(COUNT // ACROSS, ACROSS, SIDE, SIDE, 3).swapaxes(1, 2)
    concepts, styles = batch.concept[:, 0].tolist(), batch.style[:, 0].tolist()
    names = [
        (atlas.concepts[concept].name, atlas.styles[style])
        for concept, style in zip(concepts, styles, strict=True)
    ]
    return rows.reshape(-1, ACROSS * SIDE, 3), names
