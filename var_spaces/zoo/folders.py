"""Folders of models: what their files are called, their digest, and how one takes another's place.

Needs no torch: pages and lists read folders long before they draw.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

CARD = "card.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MODEL_ID = r"[a-z0-9][a-z0-9._-]{0,63}"  # which is the name of its folder, too
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's fcntl.h and stdio.h


def weights_digest(files: Iterable[Path]) -> str:
    """SHA-256 over the weight files one after the other, in order of their names.

    The same number comes from ``cat model*.safetensors | sha256sum``.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def keep_other_files(old: Path, new: Path) -> None:
    """Copy what an old folder holds beside weights and card (README.md, samples.png)."""
    if not old.is_dir():
        return
    for path in sorted(old.iterdir()):
        if path.is_file() and path.suffix != ".safetensors" and path.name not in (CARD, INDEX):
            shutil.copy2(path, new / path.name)


def replace_folder(folder: Path, new: Path) -> None:
    """Put ``new`` where ``folder`` is; the old folder leaves only when the new one is complete.

    Where the system can exchange two names (Linux, most of its file systems) there is no moment
    without a folder; elsewhere there is a short one, and the old folder lies beside it then.
    """
    if not folder.exists():
        os.replace(new, folder)
        return
    if _exchange(folder, new):
        shutil.rmtree(new, ignore_errors=True)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    os.replace(folder, old)  # an empty folder may be replaced by a folder
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places at once. Says whether it was done."""
    try:
        call = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # another system, an old C library
        return False
    names = os.fsencode(one), os.fsencode(other)
    return call(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0
