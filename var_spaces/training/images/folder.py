"""A person's own folder of images as training data: prepared once, then read as needed.

Every usable image is shrunk and kept, uncropped, in one file of the run folder; a batch cuts
squares out of it. Which squares depends on (seed, position) only, and whether an image trains or
validates on its content only, so names and order of files do not matter.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.paths import write_file
from var_spaces.training.data.counter import below, chance, draw
from var_spaces.training.images.scan import ScanReport, image_files, listed, scan

VALIDATION_SHARE = 0.05
MARGIN = 1.25  # shorter side of a prepared image in training sizes: room to cut at random
INDEX, PIXELS = "images.json", "images.bin"
REPORT = "images_report"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images ready to be cut.

    Attributes:
        pixels: flat uint8 RGB of all images.
        shapes: (N, 2) int64 height and width.
        offsets: (N,) int64 first byte of each.
        training, validation: (n,) int64 numbers of images, in order of content.
        digest: identifies the set of images.
        report: what became of the files.
        reports: the files that say so, as text and as JSON.
    """

    pixels: np.ndarray
    shapes: np.ndarray
    offsets: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    digest: str
    report: dict[str, Any]
    reports: tuple[Path, Path]

    def cut(self, number: int, top: int, left: int, size: int) -> np.ndarray:
        """A square ``(size, size, 3)`` of one image."""
        (h, w), first = self.shapes[number], self.offsets[number]
        image = self.pixels[first : first + h * w * 3].reshape(h, w, 3)
        return image[top : top + size, left : left + size]


class FolderSource:
    """Random squares, mirrored half of the time; see :class:`ImageSource`."""

    def __init__(self, prepared: Prepared, name: str, size: int, device: torch.device) -> None:
        self.prepared, self.name, self.size, self.device = prepared, name, size, device

    def batch(self, seed: int, start: int, count: int) -> Tensor:
        prepared, size = self.prepared, self.size
        number, top, left, mirror = draw(seed, torch.arange(start, start + count), 4).unbind(1)
        chosen = prepared.training[below(number, len(prepared.training)).numpy()]
        room = torch.from_numpy(prepared.shapes[chosen] - size + 1)
        tops, lefts = below(top, room[:, 0]).tolist(), below(left, room[:, 1]).tolist()
        squares = [
            prepared.cut(*where, size) for where in zip(chosen.tolist(), tops, lefts, strict=True)
        ]
        images = self._tensor(squares)
        return torch.where(chance(mirror, 0.5)[:, None, None, None], images.flip(-1), images).to(
            self.device
        )

    def _tensor(self, squares: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float().div(127.5).sub(1)

    def _centres(self, numbers: np.ndarray) -> Tensor:
        """The middle squares of images."""
        middle = (self.prepared.shapes[numbers] - self.size) // 2
        places = zip(numbers.tolist(), middle.tolist(), strict=True)
        squares = [self.prepared.cut(n, top, left, self.size) for n, (top, left) in places]
        return self._tensor(squares).to(self.device)

    def probes(self, count: int) -> dict[str, Tensor]:
        return {"validation": self._centres(self.prepared.validation[:count])}

    def usage_probe(self, count: int) -> tuple[str, Iterator[Tensor]]:
        numbers = self.prepared.validation[:count]
        return "validation", (
            self._centres(numbers[i : i + 64]) for i in range(0, len(numbers), 64)
        )

    def describe(self) -> dict[str, Any]:
        count, digest = self.prepared.report["training"], self.prepared.digest[:16]
        data = f"{count} images of the folder '{self.name}' (SHA-256 over the set {digest})"
        return {
            "licence": "that of the images it was trained on",
            "training": {"data": data, "scenes": f"folder {self.name}"},
        }


def prepare(folder: Path, size: int, run: Path) -> Prepared:
    """Read a folder of images, or what an earlier run prepared from the same files.

    Args:
        folder: searched with all folders below it.
        size: side of training images in pixels.
        run: run folder; gets the prepared images, and the report as ``images_report.json`` and
            ``images_report.txt``.

    Raises:
        VarSpacesError: if fewer than two images can be used.
    """
    key = fingerprint(folder, size)
    try:
        index = json.loads((run / INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        index = {}
    if index.get("key") != key or not (run / PIXELS).is_file():
        index = _prepare(folder, size, run, key)
    shapes = np.array(index["shapes"], dtype=np.int64).reshape(-1, 2)
    ends = (shapes.prod(1) * 3).cumsum()
    return Prepared(
        pixels=np.memmap(run / PIXELS, dtype=np.uint8, mode="r"),
        shapes=shapes,
        offsets=np.concatenate([[0], ends[:-1]]),
        training=np.array(index["training"], dtype=np.int64),
        validation=np.array(index["validation"], dtype=np.int64),
        digest=index["digest"],
        report=index["report"],
        reports=(run / f"{REPORT}.txt", run / f"{REPORT}.json"),
    )


def fingerprint(folder: Path, size: int) -> str:
    """Changes when a file comes, goes or changes; needs no file's contents."""
    digest = hashlib.sha256(f"{VERSION} {size} {VALIDATION_SHARE} {MARGIN}".encode())
    for path in image_files(folder):
        state = path.lstat()
        name = os.fsencode(path.relative_to(folder))
        digest.update(b"%s\0%d %d\n" % (name, state.st_size, state.st_mtime_ns))
    return digest.hexdigest()


def _prepare(folder: Path, size: int, run: Path, key: str) -> dict[str, Any]:
    report = ScanReport(folder.resolve().name)
    shapes, digests = [], []
    run.mkdir(parents=True, exist_ok=True)
    # Under a name of its own: processes of one run may all be preparing, with the same result.
    with tempfile.NamedTemporaryFile(dir=run, prefix=".images.", delete=False) as file:
        try:
            for _, digest, image in scan(folder, report):
                report.enlarged += min(image.size) < size
                small = shrunk(image, size)
                shapes.append([small.height, small.width])
                digests.append(digest)
                file.write(small.tobytes())
            training, validation = split(digests, report)
        except BaseException:
            os.unlink(file.name)
            raise
    index = {
        "key": key,
        "shapes": shapes,
        "training": training,
        "validation": validation,
        "digest": hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest(),
        "report": report.as_json(),
    }
    os.replace(file.name, run / PIXELS)
    told = json.dumps(report.as_json(), indent=2, ensure_ascii=False)
    texts = {INDEX: json.dumps(index), f"{REPORT}.json": told, f"{REPORT}.txt": report.as_text()}
    for name, text in texts.items():
        write_file(run / name, f"{text}\n".encode())
    return index


def shrunk(image: Image.Image, size: int) -> Image.Image:
    """An RGB image whose shorter side is between ``size`` and ``MARGIN * size``."""
    shorter = min(image.size)
    wanted = max(size, min(shorter, round(size * MARGIN)))
    if wanted == shorter:
        return image
    sides = [max(wanted, round(side * wanted / shorter)) for side in image.size]
    return image.resize(sides, Image.Resampling.LANCZOS)


def split(digests: list[str], report: ScanReport) -> tuple[list[int], list[int]]:
    """Numbers of the images to train and to validate on, each in order of content digests.

    An image validates if its digest, as a share of all digests, is below the share; at least one
    does, and at least one does not.
    """
    if len(digests) < 2:
        reasons = f" Left out: {listed(report.reasons)}." if report.refused else ""
        raise VarSpacesError(
            f"The folder '{report.folder}' has {len(digests)} usable images, training needs 2 or "
            f"more.{reasons}"
        )
    order = sorted(range(len(digests)), key=lambda number: digests[number])
    limit = VALIDATION_SHARE * 16**8
    held_out = sum(int(digest[:8], 16) < limit for digest in digests)
    held_out = min(max(held_out, 1), len(digests) - 1)
    report.validation, report.training = held_out, len(digests) - held_out
    return order[held_out:], order[:held_out]
