"""Reads a folder of images of any kind: decodes what can be used, says why the rest cannot.

Nothing is decoded before its size in pixels is known to be harmless (decompression bombs), and no
file stops the scan.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from var_spaces import pictures
from var_spaces.errors import VarSpacesError
from var_spaces.pictures import Unreadable

SUFFIXES = frozenset(
    f".{name}"
    for name in "apng avif bmp gif jfif jpe jpeg jpg pbm pgm png ppm tif tiff webp".split()  # noqa: SIM905
)
LIMITS = pictures.Limits(file_bytes=256 << 20, pixels=64_000_000)
MIN_SIDE = 8
MAX_ASPECT = 20  # longer strips have no square part that shows what they are
LISTED = 1000  # refused files that a report names


@dataclass
class ScanReport:
    """What became of the files of a folder."""

    folder: str
    used: int = 0
    training: int = 0
    validation: int = 0
    enlarged: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)  # (name, reason)

    @property
    def reasons(self) -> Counter[str]:
        """How many files were refused for each reason (what follows a colon is detail)."""
        return Counter(reason.partition(":")[0] for _, reason in self.refused)

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": self.folder,
            "used": self.used,
            "training": self.training,
            "validation": self.validation,
            "enlarged": self.enlarged,
            "modes": dict(self.modes.most_common()),
            "sizes": dict(self.sizes.most_common(20)),
            "refused": len(self.refused),
            "reasons": dict(self.reasons.most_common()),
            "files": [{"name": n, "reason": r} for n, r in self.refused[:LISTED]],
        }

    def as_text(self) -> str:
        """A few lines for people."""
        lines = [
            f"{self.used} images of '{self.folder}': {self.training} to train, "
            f"{self.validation} to validate; {len(self.refused)} files left out."
        ]
        if self.enlarged:
            lines.append(f"{self.enlarged} are smaller than the training size and were enlarged.")
        lines.append(f"Modes: {listed(self.modes)}. Commonest sizes: {listed(self.sizes, 5)}.")
        if self.refused:
            lines.append(f"Left out: {listed(self.reasons)}.")
            lines += [f"  {name}: {reason}" for name, reason in self.refused[:20]]
            more = len(self.refused) - 20
            lines += [f"  ... and {more} more, see the JSON report"] if more > 0 else []
        return "\n".join(lines)


def listed(counts: Counter[str], most: int | None = None) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(most)) or "none"


def image_files(folder: Path) -> list[Path]:
    """All files below a folder, sorted by name; hidden ones and links to folders are passed over.

    Raises:
        VarSpacesError: if there is no such folder.
    """
    if not folder.is_dir():
        raise VarSpacesError(f"No folder of images at '{folder}': give a folder, not a file.")
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(found)


def scan(folder: Path, report: ScanReport) -> Iterator[tuple[Path, str, Image.Image]]:
    """Yield ``(path, SHA-256 of the file, RGB image)`` of every usable file, each content once."""
    seen: dict[str, str] = {}
    for path in image_files(folder):
        name = path.relative_to(folder).as_posix()
        name = name.encode("utf-8", "replace").decode()
        try:
            content = read(path)
            digest = hashlib.sha256(content).hexdigest()
            if digest in seen:
                raise Unreadable(f"the same file again: {seen[digest]}")
            image, mode = decode(content)
        except Unreadable as error:
            report.refused.append((name, str(error)))
            continue
        seen[digest] = name
        report.used += 1
        report.modes[mode] += 1
        report.sizes[f"{image.width}x{image.height}"] += 1
        yield path, digest, image


def read(path: Path) -> bytes:
    """The bytes of a file that may be an image."""
    if path.suffix.lower() not in SUFFIXES:
        raise Unreadable(f"not an image by its name: {path.suffix or 'no suffix'}")
    if not path.is_file():  # a pipe or device would block
        raise Unreadable("not a regular file")
    try:
        if path.stat().st_size > LIMITS.file_bytes:
            raise Unreadable(f"file too large: over {LIMITS.file_bytes >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None


def decode(content: bytes) -> tuple[Image.Image, str]:
    """RGB pixels of the first frame, upright, and the mode they had."""
    image, mode = pictures.decode(content, LIMITS)
    check_shape(*image.size)
    return pictures.over_white(image), mode


def check_shape(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise Unreadable(f"too small: {width}x{height}, at least {MIN_SIDE} each way")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Unreadable(f"too long and narrow: {width}x{height}")
