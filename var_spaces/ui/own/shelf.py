"""A folder of models of one visitor, and how a model gets into it and out of it.

What is on the shelf is what lies in the folder: a training in another process may fill it. A model
is there as a whole or not at all, and its id ends with a digest of its weights, its base and its
adapter, so that a model that was taken home and brought back is the one that it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.ui.queue.limits import MIB, Limits, train_seconds
from var_spaces.zoo.cards import MAX_CARD_BYTES, Card, get_card, read_card
from var_spaces.zoo.folders import CARD, INDEX, replace_folder, weights_digest

MOST = 8  # models of one visitor
MOST_FILES = 8  # of a model
LEARNED = ("subject", "content-style")  # adapters that are taught from a person's pictures
WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
DIGITS = 12  # of the digest, in an id
DIGEST = re.compile(rf"-[0-9a-f]{{{DIGITS}}}\Z")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may ask for gigabytes to unpack
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError
)  # fmt: skip
MAX_NOTES = 4096  # bytes of what a card tells of its training
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal models make equal files
_one = Lock()  # comes in at a time
LOADING = 3600.0  # seconds before a training begins, at most
BUSY, STOP = ".learning", ".stop"  # which training fills the shelf; which is asked to end


def models(folder: Path, adapter: str = "") -> dict[str, Card]:
    """The models of a visitor by id, the latest first.

    Args:
        adapter: only those of this kind.
    """
    if not folder.is_dir():
        return {}
    paths = [p / CARD for p in folder.iterdir() if not p.name.startswith(".")]
    found = []
    for path in paths:
        with suppress(OSError, VarSpacesError):  # it may just have been taken off
            found.append((path.stat().st_mtime_ns, path.parent.name, read_card(path)))
    found.sort(key=lambda model: -model[0])
    return {name: card for _, name, card in found if adapter in ("", card.adapter["name"])}


def check_room(folder: Path) -> None:
    """Refuse one more model before any work.

    Raises:
        VarSpacesError: if the visitor has enough of them, or all visitors together.
    """
    if len(models(folder)) >= MOST:
        raise VarSpacesError(f"You have {MOST} models of your own already: delete one first.")
    most = Limits.from_environment().max_own_mb
    if _bytes(folder.parent) > most * MIB:
        raise VarSpacesError("There is no room for more models of visitors now: try again later.")


def _bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # which passes over what others delete meanwhile
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def keep(folder: Path, title: str, write: Callable[[Path], Any]) -> str:
    """Put a model on the shelf.

    Args:
        title: in words; the id begins with it.
        write: writes the model into the folder that it is given.

    Returns:
        Its id.
    """
    with _aside(folder) as aside:
        new = aside / _slug(title)
        write(new)
        return _place(folder, new, json.loads((new / CARD).read_text("utf-8")))


def _place(folder: Path, new: Path, card: dict[str, Any]) -> str:
    """Move a complete model to its place, under its id."""
    digest = weights_digest(new.glob("model*.safetensors"))
    whole = codecs.canonical([digest, card["base"], card["adapter"]])
    name = f"{new.name}-{hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]}"
    text = json.dumps({**card, "id": name, "weights_sha256": digest}, indent=2, ensure_ascii=False)
    (new / CARD).write_text(text + "\n", "utf-8")
    replace_folder(folder / name, new)
    return name


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A hidden folder, for what is not complete yet."""
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _slug(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"my-{plain.removeprefix('my-')[:40].strip('-')}" if plain else "my-model"


def remove(folder: Path, name: str) -> None:
    """Take a model off the shelf, from disk and from memory.

    Raises:
        VarSpacesError: if it is not there.
    """
    if name not in models(folder):
        raise VarSpacesError("That model is not here any more.")
    aside = folder / f".gone-{name}"
    (folder / name).rename(aside)  # at once for everybody who looks
    shutil.rmtree(aside, ignore_errors=True)
    from var_spaces.zoo.residency import ZOO

    ZOO.forget(name)


# --- taken home, and brought back -----------------------------------------------------------------


def packed(folder: Path, name: str) -> bytes:
    """A model as a zip of its folder: unpacked into a folder of ``VAR_SPACES_MODELS`` it is a model
    like others.

    Raises:
        VarSpacesError: if it is not there.
    """
    if name not in models(folder):
        raise VarSpacesError("That model is not here any more.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((folder / name).iterdir()):
            archive.writestr(zipfile.ZipInfo(f"{name}/{path.name}", EPOCH), path.read_bytes())
    return buffer.getvalue()


def bring_back(folder: Path, file: Path) -> str:
    """Put a model on the shelf that a visitor hands in: a stranger's file.

    Its card is checked as any stranger's, its weights must be safetensors of exactly the layout
    that the card means, finite, and those that the card names by their digest.

    Returns:
        Its id.

    Raises:
        VarSpacesError: one line, for anything else; nothing is kept then.
    """
    check_room(folder)
    with _aside(folder) as aside:
        files = aside / "files"
        files.mkdir()
        card = _unpack(file, files)
        data = _checked(card, sorted(files.glob("*.safetensors")))
        new = files.rename(aside / _slug(DIGEST.sub("", data["id"])))
        with _one:  # several may have been let in at once
            check_room(folder)
            return _place(folder, new, data)


def _unpack(file: Path, target: Path) -> bytes:
    """Write the weight files of a zip; returns the text of its card."""
    most = Limits.from_environment().max_upload_mb * MIB
    card = b""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = [part for part in archive.infolist() if not part.is_dir()]
            if len(parts) > MOST_FILES or sum(part.file_size for part in parts) > most:
                raise VarSpacesError("The file holds more than a model that was saved here.")
            for part in parts:
                name = PurePosixPath(part.filename).name
                limit = MAX_CARD_BYTES if name in (CARD, INDEX) else most
                if part.file_size > limit:
                    raise VarSpacesError(f"The file's {name[:40]} is larger than any model's.")
                if part.compress_type not in PACKED:
                    raise NotImplementedError
                with archive.open(part) as stream:
                    content = stream.read(limit + 1)
                if name == CARD:
                    card = content
                elif name == INDEX or WEIGHTS.fullmatch(name):
                    (target / name).write_bytes(content)
    except VarSpacesError:
        raise
    except UNREADABLE:
        raise VarSpacesError(
            "The file is no model that was saved here: hand in the whole zip that you downloaded."
        ) from None
    if not card or not any(WEIGHTS.fullmatch(path.name) for path in target.iterdir()):
        raise VarSpacesError(f"The file holds no model: it needs a {CARD} and a model.safetensors.")
    return card


def _checked(text: bytes, files: list[Path]) -> dict[str, Any]:
    """The card of a model, in the few words that we write ourselves."""
    from var_spaces.zoo.adding import checked, described
    from var_spaces.zoo.checkpoints import fitting_state
    from var_spaces.zoo.manifest import build

    data = checked(text)
    card = described(data)
    if not card.base or card.adapter["name"] not in LEARNED or card.source or card.entry:
        raise VarSpacesError(
            "The file is no subject or style: other models are added with python -m var_spaces add."
        )
    get_card(card.base, "generator")  # refuses what is not offered here
    if weights_digest(list(files)) != card.weights_sha256:
        raise VarSpacesError("The weights are not those that the card names: the file is damaged.")
    for key, tensor in fitting_state(card, build(card), files, []).items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise VarSpacesError(f"Weights of '{key[:80]}' are not finite: the file is damaged.")
    notes = {"training": data["training"]} if _is_short(data.get("training")) else {}
    kept = ("format", "id", "title", "base", "adapter", "licence", "weights_sha256")
    return {**{key: data[key] for key in kept if key in data}, **notes}


def _is_short(notes: Any) -> bool:
    return isinstance(notes, dict) and len(json.dumps(notes)) <= MAX_NOTES


# --- a training that fills the shelf ----------------------------------------------------------


@contextmanager
def filling(folder: Path, run: str) -> Iterator[None]:
    """Around a training: others see that there is one, and may ask it to end.

    Args:
        run: name of the training; one of the same visitor may wait for it to end.
    """
    (folder / STOP).unlink(missing_ok=True)
    (folder / BUSY).write_text(run, "utf-8")
    try:
        yield
    finally:
        (folder / BUSY).unlink(missing_ok=True)
        (folder / STOP).unlink(missing_ok=True)


def ask_to_stop(folder: Path, run: str) -> bool:
    """Ask a training to end after its next step; whether it is the one that fills this shelf."""
    busy = is_filled(folder) and _told(folder / BUSY) == run
    if busy:
        (folder / STOP).write_text(run, "utf-8")
    return busy


def is_filled(folder: Path) -> bool:
    """Whether a training is filling this shelf; one that was killed is believed no longer than one
    may take."""
    try:
        began = (folder / BUSY).stat().st_mtime
    except FileNotFoundError:
        return False
    return time.time() - began < train_seconds() + LOADING


def is_asked_to_stop(folder: Path, run: str) -> bool:
    return _told(folder / STOP) == run


def _told(path: Path) -> str | None:
    """The training that a file names; None if there is no file."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
