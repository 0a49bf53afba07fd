"""Trained model folders in few files of bounded size.

    cat models.tar.* | tar x -C assets

The pieces are one tar archive in a row; a model that no longer fits is left out, and named.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

PIECE = 16 * 2**20  # bytes of a file
PIECES = 7


def pack(folders: Sequence[Path], out: Path, piece: int = PIECE, pieces: int = PIECES) -> list[str]:
    """Write ``models.tar.0`` and so on, whatever pieces were there before.

    Args:
        folders: of models, most valuable first; in the archive as ``<room>/<id>``.

    Returns:
        Names of the models that found no room.
    """
    archive, left = io.BytesIO(), []
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in folders:
            if archive.tell() + _bytes(folder) > piece * pieces - tarfile.RECORDSIZE:
                left.append(folder.name)
                continue
            for path in sorted(folder.iterdir()):
                tar.add(path, f"{folder.parent.name}/{folder.name}/{path.name}", recursive=False)
    for old in out.glob("models.tar.*"):
        old.unlink()
    content = archive.getvalue() if len(left) < len(folders) else b""
    for number, start in enumerate(range(0, len(content), piece)):
        (out / f"models.tar.{number}").write_bytes(content[start : start + piece])
    return left


def unpack(out: Path, work: Path) -> None:
    """Models of an earlier call, for one that begins with an empty folder of work."""
    pieces = sorted(out.glob("models.tar.*"))
    if pieces:
        archive = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
        with tarfile.open(fileobj=archive) as tar:
            tar.extractall(work, filter="data")


def _bytes(folder: Path) -> int:
    """What the files of a folder take in an archive."""
    block = tarfile.BLOCKSIZE
    return sum(block + -(-path.stat().st_size // block) * block for path in folder.iterdir())
