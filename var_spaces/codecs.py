"""Canonical JSON, and its two envelopes: a link parameter and a text chunk of a PNG file.

Everything that reads is made for untrusted input: sizes, depth, numbers and decompression are
bounded before any parser sees the data, and a refusal is one :class:`VarSpacesError` line.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    import numpy as np

MAX_JSON_BYTES = 64 * 1024
MAX_JSON_DEPTH = 8
MAX_JSON_INT = 2**63 - 1
MAX_LINK_CHARS = 2000

# --- canonical JSON -----------------------------------------------------------------------------


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, ASCII, finite numbers.

    Floats keep Python's shortest representation (``1.0``, ``1e-05``) and ``-0.0`` is ``0.0``.
    """
    try:
        return json.dumps(
            _positive_zero(value),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        odd = "Out of range float" in str(error)
        why = "a number is NaN or infinite" if odd else error
        raise VarSpacesError(f"This cannot be written as JSON: {why}.") from None


def _positive_zero(value: Any) -> Any:
    match value:
        case dict():
            return {key: _positive_zero(item) for key, item in value.items()}
        case list() | tuple():
            return [_positive_zero(item) for item in value]
        case float():
            return value + 0.0  # -0.0 + 0.0 is 0.0
    return value


def parse_json(text: str | bytes, what: str, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Parse untrusted JSON; ``what`` names it in messages.

    Refused: more than ``max_bytes``, nesting deeper than 8, keys written twice, NaN and infinity,
    integers beyond 63 bits, text that is not Unicode.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > max_bytes:
            raise VarSpacesError(f"{what} is larger than the allowed {max_bytes // 1024} kB.")
        text = data.decode("utf-8-sig")
    except UnicodeError:
        raise VarSpacesError(f"{what} is not UTF-8 text.") from None
    if _depth(text) > MAX_JSON_DEPTH:
        raise VarSpacesError(f"{what} is nested deeper than the allowed {MAX_JSON_DEPTH} levels.")

    def refuse(reason: str) -> VarSpacesError:
        return VarSpacesError(f"{what} {reason}.")

    def whole(digits: str) -> int:
        if len(digits) > 20 or abs(int(digits)) > MAX_JSON_INT:
            raise refuse("holds an integer beyond 63 bits")
        return int(digits)

    def real(digits: str) -> float:
        number = float(digits)
        if not math.isfinite(number):
            raise refuse("holds a number that is not finite")
        return number

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise refuse(f"has the key {twice[:40]!r} twice")
        return found

    try:
        value = json.loads(
            text, parse_int=whole, parse_float=real, parse_constant=real, object_pairs_hook=unique
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise refuse(f"is not JSON: {error.msg} (character {error.pos})") from None
    except UnicodeError:
        raise refuse("holds half of a Unicode character") from None
    return value


# A string, whole or cut by the end of the text, or a bracket outside of strings.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings, without recursion."""
    depth = deepest = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        first = found[0][0]
        if first in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in "]}":
            depth -= 1
    return deepest


# --- link ---------------------------------------------------------------------------------------


def to_link(text: str) -> str:
    """Pack canonical JSON into a URL parameter: base64url of zlib, at most 2000 characters."""
    link = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")
    if len(link) > MAX_LINK_CHARS:
        raise VarSpacesError(
            f"The run spec needs a link of {len(link)} characters, allowed are {MAX_LINK_CHARS}: "
            "share it as a PNG or JSON file."
        )
    return link


def from_link(link: str) -> bytes:
    """Unpack what :func:`to_link` made."""
    if len(link) > MAX_LINK_CHARS:
        raise VarSpacesError(f"The run link is longer than {MAX_LINK_CHARS} characters.")
    try:
        data = base64.b64decode(link.rstrip("=") + "=" * (-len(link.rstrip("=")) % 4), b"-_", True)
    except (binascii.Error, ValueError):
        raise VarSpacesError("The run link is damaged: copy it again, whole.") from None
    return _inflate(data, "The run link")


def _inflate(data: bytes, what: str) -> bytes:
    """Decompress at most 64 kB; anything longer, damaged or with a tail is refused."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, MAX_JSON_BYTES + 1)
    except zlib.error:
        raise VarSpacesError(f"{what} is damaged: its compressed text cannot be read.") from None
    if len(text) > MAX_JSON_BYTES:
        raise VarSpacesError(f"{what} unpacks to more than {MAX_JSON_BYTES // 1024} kB.")
    if not stream.eof or stream.unused_data:
        raise VarSpacesError(f"{what} is damaged: its compressed text is cut or has a tail.")
    return text


# --- PNG ----------------------------------------------------------------------------------------

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEYWORD = b"var-spaces"
PEEK = len(PNG_KEYWORD) + 1  # bytes that tell our chunk from others
MAX_PNG_CHUNKS = 65_536  # encoders make one per some kilobytes
MAX_PNG_TEXT = MAX_JSON_BYTES + 1024  # the text and what stands before it in its chunk
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


def encode_png(image: np.ndarray, scale: int = 1) -> bytes:
    """Encode an image ``(H, W, 3)`` uint8, each pixel ``scale`` times larger; same bytes always."""
    from PIL import Image

    large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def write_png_text(png: bytes, text: str) -> bytes:
    """Return the PNG with ASCII ``text`` in its one "var-spaces" chunk; the rest stays as it is."""
    pieces = [PNG_SIGNATURE]
    for kind, start, end in _chunks(io.BytesIO(png)):
        if not (kind in TEXT_CHUNKS and _is_ours(png[start + 8 : start + 8 + PEEK])):
            pieces.append(png[start:end])
        if kind == b"IHDR":  # before the pixels, so that readers find it without decoding them
            pieces.append(_chunk(b"tEXt", PNG_KEYWORD + b"\0" + text.encode("ascii")))
    return b"".join(pieces)


def other_picture(head: bytes) -> str:
    """Which kind of picture other than PNG a file begins as; empty for anything else."""
    starts = {
        b"\xff\xd8\xff": "a JPEG",
        b"GIF8": "a GIF",
        b"BM": "a BMP",
        b"II*\0": "a TIFF",
        b"MM\0*": "a TIFF",
    }
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP"
    if head[4:12] in (b"ftypavif", b"ftypavis", b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "an AVIF or HEIC"
    return next((name for start, name in starts.items() if head.startswith(start)), "")


def without_text(png: bytes) -> bytes:
    """The PNG without text chunks and without what follows its end."""
    kept = [PNG_SIGNATURE]
    for kind, start, end in _chunks(io.BytesIO(png)):
        if kind not in TEXT_CHUNKS:
            kept.append(png[start:end])
    return b"".join(kept)


def read_png_text(source: bytes | str | Path) -> bytes:
    """Return the raw text of the "var-spaces" chunk; pixels are neither read nor decoded.

    Of all other chunks no more than the first bytes are read, and nothing is unpacked twice.

    Refused: what is no PNG, a cut or damaged file, a picture without the chunk or with two.
    """
    found = None
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            for kind, start, end in _chunks(file):
                file.seek(start + 8)
                if kind not in TEXT_CHUNKS or not _is_ours(file.read(min(PEEK, end - start - 12))):
                    continue
                if found is not None:
                    raise VarSpacesError("The picture holds two run specs.")
                found = _chunk_text(kind, file, start, end)
    except OSError as error:
        raise VarSpacesError(f"Cannot read {source}: {error.strerror}.") from None
    if found is None:
        raise VarSpacesError("The picture holds no run spec: only PNG files saved here carry one.")
    return found


def _is_ours(start: bytes) -> bool:
    """Whether a text chunk has our keyword, from its first ``PEEK`` bytes."""
    return start.split(b"\0", 1)[0] == PNG_KEYWORD


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield ``(kind, start, end)`` of every chunk; of a file no more than the heads are read."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(8) != PNG_SIGNATURE:
        raise VarSpacesError("This is not a PNG file.")
    start = 8
    for number in range(MAX_PNG_CHUNKS):
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            raise VarSpacesError("The PNG file is cut: its end is missing.")
        length, kind = struct.unpack(">I4s", head)
        if not kind.isalpha() or (number == 0) != (kind == b"IHDR"):
            raise VarSpacesError("The PNG file is damaged: its chunks cannot be read.")
        end = start + 8 + length + 4
        if end > size:
            raise VarSpacesError("The PNG file is cut: its end is missing.")
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end
    raise VarSpacesError("The PNG file is damaged: it has too many chunks.")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunk_text(kind: bytes, file: BinaryIO, start: int, end: int) -> bytes:
    """Text of a ``tEXt``, ``zTXt`` or ``iTXt`` chunk (other programs rewrite one as another)."""
    what = "The run spec in the picture"
    if end - start - 12 > MAX_PNG_TEXT:
        raise VarSpacesError(f"{what} is larger than the allowed {MAX_JSON_BYTES // 1024} kB.")
    file.seek(start + 8)
    data, crc = file.read(end - start - 12), file.read(4)
    if struct.pack(">I", zlib.crc32(kind + data)) != crc:
        raise VarSpacesError(f"{what} is damaged: its checksum is wrong.")
    _, _, rest = data.partition(b"\0")
    compressed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]  # compression method
    if kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]  # language tag, translated keyword, text
    return _inflate(rest, what) if compressed else rest
