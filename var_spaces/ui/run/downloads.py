"""Files that a visitor takes home: PNGs that carry their run specs, several of them as a zip."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from var_spaces.api import image_spec
from var_spaces.spec import RunSpec, save_png
from var_spaces.ui.run.command import stem
from var_spaces.ui.run.view import RunView

LARGE_SIDE = 512
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal runs give equal zips


@contextmanager
def files(view: RunView) -> Iterator[tuple[Path, Path] | None]:
    """Two files of a finished run, as drawn and enlarged; they exist inside the block only.

    One image makes PNGs, several make zips. Every PNG carries the spec that draws it alone. A run
    that is not done has none.
    """
    if view.phase != "done":
        yield None
        return
    spec, images = view.spec, view.images
    with tempfile.TemporaryDirectory(prefix="var-spaces-") as folder:
        plain, large = Path(folder) / stem(spec), Path(folder) / f"{stem(spec)}-large"
        yield _write(plain, spec, images, 1), _write(large, spec, images, enlargement(images[0]))


def enlargement(image: np.ndarray) -> int:
    """How many times every pixel is repeated, so that the picture is about 512 pixels wide."""
    return max(1, LARGE_SIDE // max(image.shape[:2]))


def _write(path: Path, spec: RunSpec, images: Sequence[np.ndarray], scale: int) -> Path:
    pictures = {
        f"{path.name}{f'-{spec.first + i:02d}' if len(images) > 1 else ''}.png": save_png(
            image, image_spec(spec, i), scale
        )
        for i, image in enumerate(images)
    }
    if len(pictures) == 1:
        target = path.with_suffix(".png")
        target.write_bytes(*pictures.values())
        return target
    target = path.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, png in pictures.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), png)
    return target
