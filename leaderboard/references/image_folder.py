"""A folder of real images, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leaderboard.extractors.files import data_file
from leaderboard.references.base import Reference, need_enough
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register
from var_spaces.pictures import as_rgb, read

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
        """The content of the files stands for them; they are read as sRGB over white."""
        from var_spaces.zoo.locate import digest_of  # torch comes with it

        paths = self.paths()
        if not paths:
            raise VarSpacesError(
                f"No picture is in '{self.folder}': expected files that end with "
                f"{', '.join(ENDINGS)}."
            )
        need_enough(len(paths), f"real (pictures in '{self.folder}')")
        return f"image-folder({self.folder} sRGB {digest_of(paths)[:8]} M={len(paths)})"

    def images(self) -> Iterator[np.ndarray]:
        for path in self.paths():
            yield as_rgb(read(path, f"The picture {path.name}"))[None]
