"""The one reader of pictures: of tasks and masks, training folders, references and the page.

Whatever a file holds becomes upright sRGB of 8 bits: turned as its camera says, palettes resolved,
deep greys scaled by their true white, CMYK and colour profiles converted, of animations the first
frame. Bytes, format, size and chunks are known to be harmless before any pixel is decoded, and a
refusal is one line.

A run spec is small JSON, so it names pictures by the SHA-256 of their pixels and the pixels travel
beside it.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

from var_spaces import notes
from var_spaces.codecs import PNG_SIGNATURE, without_text
from var_spaces.errors import VarSpacesError

# By content, whatever the name says: others would start programs (EPS) or accept any bytes (TGA).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 4096 * 4096
MAX_SCANS = 200  # of a progressive JPEG; encoders make some ten, each costs a pass over all pixels
MAX_PROFILE = 4 << 20  # bytes of a colour profile
BRIGHT = 128  # what a mask marks
MAX_RATIO = 8  # of the longer to the shorter side: the shorter one still has a token at 64 px


class Unreadable(VarSpacesError):
    """A file that is no usable picture; the text is the reason, details after a colon."""


class TooLarge(Unreadable):
    """A picture, but one that is not decoded."""


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded.

    Attributes:
        file_bytes: of the whole file.
        pixels: width times height.
        side: of the longer side in pixels.
        formats: that are read.
    """

    file_bytes: int = 64 << 20
    pixels: int = MAX_PIXELS
    side: int = 65_535
    formats: tuple[str, ...] = FORMATS


USUAL = Limits()


# --- files ----------------------------------------------------------------------------------------


def read(
    source: bytes | str | Path, what: str = "The picture", limits: Limits = USUAL
) -> Image.Image:
    """The picture in a file or its bytes, mode "RGB" or "RGBA" (straight alpha), sRGB, upright.

    Raises:
        VarSpacesError: one line that begins with ``what``, if it cannot be read or is too large.
    """
    try:
        data = source if isinstance(source, bytes) else content(source, limits)
        return decode(data, limits)[0]
    except OSError as error:
        raise VarSpacesError(f"{what} cannot be read: {error.strerror}: {source}.") from None
    except Unreadable as error:
        raise VarSpacesError(f"{what} cannot be used: {error}.") from None


def content(path: str | Path, limits: Limits = USUAL) -> bytes:
    """Bytes of a file that may be a picture."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe or device would block
        raise Unreadable(f"not a regular file: {path}")
    if path.stat().st_size > limits.file_bytes:
        raise TooLarge(f"file too large: over {limits.file_bytes >> 20} MiB")
    return path.read_bytes()


def decode(data: bytes, limits: Limits = USUAL) -> tuple[Image.Image, str]:
    """Pixels as :func:`read` gives them, and the mode that they had in the file.

    Raises:
        Unreadable: with the reason.
    """
    try:
        with warnings.catch_warnings():
            # Our own limits come first and need no pixels; metadata may be odd in harmless ways.
            warnings.simplefilter("ignore")
            image = _open(data, limits)
            mode = image.mode
            return normal(image), mode
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"too many pixels: {_most(limits)}") from None
    except Exception as error:  # decoders of damaged files raise almost anything
        text = " ".join(str(error).split())[:100] or type(error).__name__
        if "cannot identify" in text:
            kinds = ", ".join(name for name in limits.formats if name != "MPO")
            raise Unreadable(f"not an image, or damaged at its start: {kinds} are read") from None
        raise Unreadable(f"damaged: {text}") from None


def _open(data: bytes, limits: Limits) -> Image.Image:
    if not data:
        raise Unreadable("empty file")
    if len(data) > limits.file_bytes:
        raise TooLarge(f"file too large: over {limits.file_bytes >> 20} MiB")
    if data.startswith(PNG_SIGNATURE):
        try:
            data = without_text(data)  # which Pillow would inflate
        except VarSpacesError as error:
            raise Unreadable(f"damaged: {str(error).rstrip('.')}") from None
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
        raise TooLarge(f"too many scans: over {MAX_SCANS}")
    if excess := notes.excess(data):
        raise Unreadable(f"damaged: {excess}")
    known = [name for name in limits.formats if name in _formats()]
    image = Image.open(io.BytesIO(data), formats=known)
    _check_size(image, limits)
    return image


@cache
def _formats() -> frozenset[str]:
    """What this Pillow can read."""
    Image.init()
    return frozenset(Image.OPEN)


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if not 0 < width * height <= limits.pixels:
        raise TooLarge(f"too many pixels: {width}x{height}, {_most(limits)}")
    if max(width, height) > limits.side:
        raise TooLarge(f"too long: {width}x{height}, at most {limits.side} along a side")


def _most(limits: Limits) -> str:
    side = round(limits.pixels**0.5)
    return f"at most {side}x{side}" if side * side == limits.pixels else f"at most {limits.pixels}"


# --- pictures in memory ---------------------------------------------------------------------------


def as_rgb(picture: Any, what: str = "The picture") -> np.ndarray:
    """Pixels ``(H, W, 3)`` uint8 of a PIL image or array; transparency becomes white.

    Raises:
        VarSpacesError: if it is no picture or has more than 4096 x 4096 pixels.
    """
    return np.asarray(over_white(_taken(picture, what)))


def as_rgba(picture: Any, what: str = "The picture") -> np.ndarray:
    """Pixels ``(H, W, 4)`` uint8, straight alpha."""
    return np.asarray(_taken(picture, what).convert("RGBA"))


def as_mask(picture: Any, what: str = "The mask") -> np.ndarray:
    """Mask ``(H, W)`` uint8: 255 in the region that is marked, else 0.

    Marked is what is at least half bright (or True) and not transparent. Where a drawing on a
    transparent ground has one tone only, its transparency marks the region: all that was drawn.
    """
    if isinstance(picture, np.ndarray) and picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    image = _taken(picture, what)
    marked = np.asarray(image.convert("L")) >= BRIGHT
    if image.mode == "RGBA":
        drawn = np.asarray(image.getchannel("A")) >= BRIGHT
        tones = np.unique(marked[drawn])
        ground = drawn.any() and not drawn.all()
        marked = drawn if ground and len(tones) == 1 else marked & drawn
    return np.where(marked, 255, 0).astype(np.uint8)


def check_marked(mask: np.ndarray) -> None:
    """Refuse a mask ``(H, W)`` that marks nothing, which is not the same as no mask.

    Raises:
        VarSpacesError: one line.
    """
    if not mask.any():
        raise VarSpacesError(
            "The mask marks no region: it is dark or transparent everywhere. Paint the region in "
            "white on black, or leave the mask out."
        )


def check_ratio(pixels: np.ndarray, what: str = "The picture") -> None:
    """Refuse a strip ``(H, W, ...)``: a model sees the middle of a picture, or all of it in a
    square, and next to nothing of a strip is left there.

    Raises:
        VarSpacesError: one line that begins with ``what``.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > MAX_RATIO * min(height, width):
        raise VarSpacesError(
            f"{what} is {width}x{height} pixels, longer than {MAX_RATIO} times its other side: cut "
            "out the part that is meant."
        )


# What an input of a task holds (``content`` of its field) -> how pixels are read for it
READERS: Mapping[str, Any] = {"picture": as_rgb, "mask": as_mask}


def over_white(image: Image.Image) -> Image.Image:
    """Mode "RGB" of what :func:`normal` made."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _taken(picture: Any, what: str) -> Image.Image:
    """A normal image of bounded size."""
    if isinstance(picture, np.ndarray):
        channels = picture.shape[2:] or (1,)
        if (
            picture.dtype != np.uint8
            or channels not in ((1,), (2,), (3,), (4,))
            or not picture.size
        ):
            raise VarSpacesError(
                f"{what} must be an array (H, W), (H, W, 3) or (H, W, 4) of uint8, 0 to 255, not "
                f"{picture.dtype} of shape {picture.shape}."
            )
        picture = Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise VarSpacesError(
            f"{what} must be a file, a PIL image or a numpy array of uint8, not {kind}."
        )
    try:
        _check_size(picture, USUAL)
        return normal(picture)
    except Unreadable as error:
        raise VarSpacesError(f"{what} cannot be used: {error}.") from None
    except Exception as error:  # its file may be damaged, or closed by now
        text = " ".join(str(error).split())[:100] or type(error).__name__
        raise VarSpacesError(f"{what} cannot be read: {text}.") from None


# --- colours --------------------------------------------------------------------------------------


def normal(image: Image.Image) -> Image.Image:
    """Any mode to upright "RGB" or "RGBA" of 8 bits in sRGB."""
    image.load()
    turned = _upright(image)
    profile = turned.info.get("icc_profile")
    if turned.mode[:1] in ("I", "F"):
        return _deep(turned, profile)
    return _in_srgb(_without_palette(turned), profile)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera says, if what it says can be read."""
    said = image.info.get("exif")
    if isinstance(said, bytes) and not notes.readable(said):
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # notes of any length and shape, each read by code of its own
        return image


def _without_palette(image: Image.Image) -> Image.Image:
    """RGBA if anything may be transparent, else CMYK or L, whose profiles differ, or RGB."""
    if image.mode == "La":  # which Pillow turns into nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("CMYK", "L", "RGB") else image.convert("RGB")


def _deep(image: Image.Image, profile: Any) -> Image.Image:
    """Whole and real numbers as grey: white is the first usual maximum that holds all of them."""
    numbers = np.asarray(image, dtype=np.float64)
    finite = np.isfinite(numbers)
    grey = np.where(finite, numbers, 0.0)
    low = min(float(grey.min()), 0.0)
    high = float(grey.max()) - low
    white = next((top for top in WHITES[image.mode[:1]] if high <= top), high)
    if image.mode.startswith("I;16"):
        white = 65535.0
    grey = np.where(numbers == np.inf, white, (grey - low).clip(0, white))
    plain = Image.fromarray(np.round(grey * (255.0 / white)).astype(np.uint8))
    plain = _in_srgb(plain, profile)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return plain
    found = plain.convert("RGBA")
    found.putalpha(Image.fromarray(np.where(numbers == clear, 0, 255).astype(np.uint8)))
    return found


WHITES = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}


def _in_srgb(image: Image.Image, profile: Any) -> Image.Image:
    """Colours of a profile as sRGB; one that does not fit the pixels is passed over."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if isinstance(profile, bytes) and 128 <= len(profile) <= MAX_PROFILE:
        try:
            held = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            named = "srgb" in ImageCms.getProfileDescription(held).lower()
            if not (named and _keeps_grey(held)):
                return _converted(image, held)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image.convert(mode)


def _keeps_grey(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether a medium grey stays one: there are linear profiles that have sRGB in their name."""
    mode = "L" if profile.profile.xcolor_space.strip() == "GRAY" else "RGB"
    grey = Image.new(mode, (1, 1), "#808080")
    return abs(_converted(grey, profile).getpixel((0, 0))[1] - 128) <= 8


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha else image
    grey = profile.profile.xcolor_space.strip() == "GRAY"
    if grey and colours.mode == "RGB":  # grey with alpha
        colours = colours.convert("L")
    found = ImageCms.profileToProfile(colours, profile, _srgb(), outputMode="RGB")
    if alpha:
        found.putalpha(alpha)
    return found


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


# --- identity and size ----------------------------------------------------------------------------


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of the size and the bytes of uint8 pixels."""
    head = "x".join(map(str, pixels.shape)).encode() + b"\n"
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def fit(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest centred part of the right shape, resized to ``(height, width)`` (Lanczos)."""
    return np.asarray(_fit(pixels, height, width, Image.Resampling.LANCZOS))


def fit_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask ``(height, width)`` bool of the same centred part; True where at least half is 255."""
    return np.asarray(_fit(mask, height, width, Image.Resampling.BOX)) >= BRIGHT


def _fit(pixels: np.ndarray, height: int, width: int, method: Image.Resampling) -> Image.Image:
    # Cut out first: a filter that looks beyond the cut would mix in what was cut away.
    h, w = pixels.shape[:2]
    across, down = min(w, round(h * width / height) or 1), min(h, round(w * height / width) or 1)
    left, top = (w - across) // 2, (h - down) // 2
    part = Image.fromarray(pixels[top : top + down, left : left + across])
    return part.resize((width, height), method)
