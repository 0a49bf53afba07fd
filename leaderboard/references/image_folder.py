"""A folder of real images, in the order of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leaderboard.extractors.files import data_file
from leaderboard.references.base import Reference
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@register
class ImageFolder(Reference):
    """Each image alone, at its own size: the extractor's resize is the only one."""

    name = "image-folder"
    title = "Folder of real images"

    folder: str = Field(min_length=1, description="below VAR_SPACES_DATA")
    url: str = Field("", description="where it can be downloaded")

    def paths(self) -> list[Path]:
        folder = data_file(self.folder, self.url or "its publisher")
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS)

    @property
    def identity(self) -> str:
        """Names and sizes of the files stand for them."""
        digest = hashlib.sha256()
        paths = self.paths()
        for path in paths:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        return f"image-folder({self.folder} {digest.hexdigest()[:8]} M={len(paths)})"

    def images(self) -> Iterator[np.ndarray]:
        import numpy as np

        from var_spaces import pictures

        for path in self.paths():
            image = pictures.read(path, f"The reference picture {path.name}")
            yield np.asarray(pictures.over_white(image))[None]
