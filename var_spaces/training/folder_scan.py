"""Reads a folder of images of any kind: decodes what can be used, says why the rest cannot.

Nothing is decoded before its size in pixels is known to be harmless (decompression bombs), and no
file stops the scan.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from var_spaces.errors import VarSpacesError

SUFFIXES = frozenset(
    f".{name}"
    for name in "apng avif bmp gif jfif jpe jpeg jpg pbm pgm png ppm tif tiff webp".split()  # noqa: SIM905
)
# By content, whatever the name says: others would start programs (EPS) or accept any bytes (TGA).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
MAX_FILE_BYTES = 256 << 20
MAX_PIXELS = 64_000_000
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


class Refused(Exception):
    """A file that cannot be used; the text is the reason."""


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
                raise Refused(f"the same file again: {seen[digest]}")
            image, mode = decode(content)
        except Refused as error:
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
        raise Refused(f"not an image by its name: {path.suffix or 'no suffix'}")
    if not path.is_file():  # a pipe or device would block
        raise Refused("not a regular file")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Refused(f"file too large: over {MAX_FILE_BYTES >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from None
    if not content:
        raise Refused("empty file")
    return content


def decode(content: bytes) -> tuple[Image.Image, str]:
    """RGB pixels of the first frame, upright, and the mode they had."""
    try:
        with warnings.catch_warnings():
            # Our own limit comes first and needs no pixels; metadata may be odd in harmless ways.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=formats())
            check_size(*image.size)
            mode = image.mode
            image.load()
            return to_rgb(ImageOps.exif_transpose(image)), mode
    except Refused:
        raise
    except Image.DecompressionBombError:
        raise Refused(f"too many pixels: over {MAX_PIXELS}") from None
    except Exception as error:  # decoders of damaged files raise almost anything
        text = " ".join(str(error).split())[:100] or type(error).__name__
        if "cannot identify" in text:
            raise Refused("not an image, or damaged at its start") from None
        raise Refused(f"damaged: {text}") from None


@cache
def formats() -> list[str]:
    """Those of :data:`FORMATS` that this Pillow can read."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Refused(f"too many pixels: {width}x{height}, at most {MAX_PIXELS}")
    if min(width, height) < MIN_SIDE:
        raise Refused(f"too small: {width}x{height}, at least {MIN_SIDE} each way")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Refused(f"too long and narrow: {width}x{height}")


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: transparency over white, 16 and 32 bits scaled down to 8."""
    return CONVERSIONS.get(image.mode, _plain)(image)


def _plain(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _deep(image: Image.Image) -> Image.Image:
    """Whole and real numbers as grey: white is the first usual maximum that holds all of them."""
    grey = np.nan_to_num(np.asarray(image, dtype=np.float64))
    grey -= min(float(grey.min()), 0.0)
    high = float(grey.max())
    white = next((top for top in WHITES[image.mode[:1]] if high <= top), high)
    if image.mode.startswith("I;16"):
        white = 65535.0
    return Image.fromarray(np.round(grey * (255.0 / white)).astype(np.uint8)).convert("RGB")


WHITES = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}

CONVERSIONS: dict[str, Callable[[Image.Image], Image.Image]] = dict.fromkeys(
    ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"), _deep
)
