"""The sprite atlas as tensors: every concept in every style, 64 pixels wide, straight alpha."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from var_spaces import pictures
from var_spaces.errors import VarSpacesError
from var_spaces.training.data.index import (
    IMAGE_NAME,
    Concept,
    Index,
    default_folder,
    find,
    read_index,
)

SHEET = pictures.Limits(pixels=4 * pictures.MAX_PIXELS)


@dataclass(frozen=True, eq=False)
class Atlas:
    """All sprites with their names.

    Attributes:
        sprites: (N, 4, 64, 64) uint8, RGBA with straight alpha; colour is 0 where alpha is 0.
        concepts: the C concepts, position = concept id.
        styles: the S style words, position = style id.
        table: (C, S) int64, sprite id of a concept in a style, or -1 where the set has none.
        core64: concept ids of the easy subset, in its published order.
        easy_styles: style ids of the coloured styles that hold every concept.
        ink: for every style, whether it is drawn in one colour that the scene chooses.
        sha256: digest of the image file, in hex.
    """

    sprites: torch.Tensor
    concepts: tuple[Concept, ...]
    styles: tuple[str, ...]
    table: torch.Tensor
    core64: tuple[int, ...]
    easy_styles: tuple[int, ...]
    ink: tuple[bool, ...]
    sha256: str

    @classmethod
    def load(cls, folder: Path | None = None) -> Atlas:
        """Read an atlas folder (default: ``assets/atlas`` of this checkout); about 0.3 s.

        Raises:
            VarSpacesError: a file is missing, or the image is not the one the index describes.
        """
        folder = folder or default_folder()
        index = read_index(folder)
        return cls(
            sprites=_read_sprites(folder / IMAGE_NAME, index),
            concepts=index.concepts,
            styles=tuple(style.word for style in index.styles),
            table=torch.tensor(index.table, dtype=torch.int64),
            core64=index.core64,
            easy_styles=index.easy_styles,
            ink=tuple(style.ink for style in index.styles),
            sha256=index.sha256,
        )

    def concept_id(self, name: str) -> int:
        """Position of a concept by name, letter case ignored; UnknownName names the nearest."""
        return find(name, [concept.name for concept in self.concepts], "concept")

    def style_id(self, name: str) -> int:
        """Position of a style by its word; UnknownName names the nearest."""
        return find(name, list(self.styles), "style")

    def to(self, device: torch.device | str) -> Atlas:
        """The same atlas with its tensors on ``device`` (49 MB)."""
        sprites, table = self.sprites.to(device), self.table.to(device)
        return dataclasses.replace(self, sprites=sprites, table=table)


def _read_sprites(path: Path, index: Index) -> torch.Tensor:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise VarSpacesError(
            f"No {path.name} in '{path.parent.name}': build it with "
            "python -m var_spaces.training.data.build_atlas --out assets/atlas"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != index.sha256:
        raise VarSpacesError(
            f"{path.name} is damaged or does not belong to its index (SHA-256 {digest[:12]}..., "
            f"expected {index.sha256[:12]}...): restore both files or build the atlas again."
        )
    sheet = np.asarray(pictures.read(content, path.name, SHEET).convert("RGBA"))
    tile, columns = index.tile, index.columns
    rows = sheet.shape[0] // tile
    tiles = sheet.reshape(rows, tile, columns, tile, 4).transpose(0, 2, 4, 1, 3)
    sprites = tiles.reshape(rows * columns, 4, tile, tile)[: index.sprites]
    return torch.from_numpy(np.ascontiguousarray(sprites))
