"""Notes beside the pixels (Exif, comments), bounded before Pillow reads them.

Pillow copies what every tag says is its value, and adds up notes piece by piece. In a hostile file
a thousand tags name the same bytes, or a note comes in a million pieces: half a megabyte would
become gigabytes, or hours. Nothing here is parsed further than is needed to add that up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

SLACK = 1 << 16  # bytes that tags may share, and those that are read in vain
MAX_PIECES = 64  # of the Exif of a JPEG; cameras write one
MAX_COMMENT = 1 << 16  # bytes of the comments of a GIF
MAX_EXIF = 1 << 20  # bytes of the values of Exif, which take a hundred times as much when unpacked
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
FURTHER = (0x8769, 0x8825, 0xA005)  # tags of further directories: Exif, GPS, interoperability
PREFIX = b"Exif\0\0"
GREEDY = "its notes say more than they hold"
TIFF = re.compile(rb"II[*+]\0|MM\0[*+]|MM\*\0|II\0\*")


def excess(data: bytes) -> str:
    """Why the notes of a file are too much to read; empty if they are not."""
    if data.startswith(b"\xff\xd8"):
        return _of_jpeg(data)
    if data.startswith(b"GIF8") and _comment_bytes(data) > MAX_COMMENT:
        return f"comments too long: over {MAX_COMMENT >> 10} KiB"
    if TIFF.match(data) and _copied(data) > len(data) + SLACK:
        return GREEDY
    if data[4:8] == b"ftyp" and not all(readable(data[found.start() :]) for found in _some(data)):
        return GREEDY
    return ""


def readable(exif: bytes) -> bool:
    """Whether Exif can be read within the bytes that it has."""
    bare = exif.removeprefix(PREFIX)
    if bare.startswith(PREFIX):  # Pillow takes them off one by one
        return False
    return _copied(bare) <= min(len(bare) + SLACK, MAX_EXIF)


def _some(data: bytes) -> Iterator[re.Match[bytes]]:
    """Where Exif may begin in a container: pixels look like it once in a billion bytes."""
    return islice(TIFF.finditer(data), MAX_PIECES)


def _of_jpeg(data: bytes) -> str:
    pieces = []
    for kind, content in _segments(data):
        if kind == 0xE1 and content.startswith(PREFIX):
            pieces.append(content[len(PREFIX) :])
        elif kind == 0xE2 and content.startswith(b"MPF\0") and not readable(content[4:]):
            return GREEDY
    if len(pieces) > MAX_PIECES:
        return f"Exif in too many pieces: over {MAX_PIECES}"
    return "" if readable(b"".join(pieces)) else GREEDY


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Second byte of the marker and content of all segments up to the first scan."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        kind = data[at + 1]
        if kind == 0xFF:
            at += 1
        elif kind == 0 or 0xD0 <= kind <= 0xD9 or 0xF0 <= kind <= 0xFD or kind == 0xC8:
            at += 2  # without content
        else:
            end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
            yield kind, data[at + 4 : end]
            if kind == 0xDA:
                return
            at = end


def _copied(tags: bytes) -> int:
    """Bytes that are copied when the first directory is read, and those that it names."""
    order = "little" if tags[:1] == b"I" else "big"

    def number(at: int, width: int) -> int:
        return int.from_bytes(tags[at : at + width], order)

    big = 43 in tags[2:4]
    width = 8 if big else 4  # of a count, an offset and a value that needs no other place
    head, entry = (8, 20) if big else (2, 12)
    copied, seen, todo = 0, set(), [number(8 if big else 4, width)]
    while todo and copied <= len(tags) + SLACK:
        start = todo.pop()
        seen.add(start)
        first = start + head
        there = max(0, len(tags) - first) // entry
        for at in range(first, first + entry * min(number(start, head), there), entry):
            tag, unit = number(at, 2), SIZES.get(number(at + 2, 2), 0)
            size, value = unit * number(at + 4, width), at + 4 + width
            if size > width:
                place = number(value, width)
                copied += min(size, max(0, len(tags) - place))
                if place + size > len(tags):  # what is cut ends the reading
                    break
            elif tag in FURTHER and (further := number(value, unit)) not in seen:
                todo.append(further)
            copied += width
    return copied


def _comment_bytes(data: bytes) -> int:
    """Bytes of the comments before the first picture of a GIF, one more for each piece."""
    flags = data[10] if len(data) > 10 else 0
    at, total = 13 + (6 << (flags & 7) if flags & 0x80 else 0), 0
    while at < len(data) and data[at] not in b",;":
        if data[at] != ord("!"):
            at += 1
            continue
        comment = data[at + 1 : at + 2] == b"\xfe"
        at, size = at + 2, -1
        while size and at < len(data):
            size = data[at]
            at += 1 + size
            total += 1 + size if comment else 0
    return total
