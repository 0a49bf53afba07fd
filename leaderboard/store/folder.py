"""A store in a local folder, safe for many processes and for a kill at any moment.

Beside the files, a hidden folder ``.store`` holds a lock, the head, and the log of all commits. A
commit is first written whole into the log (one rename makes it real), then applied to the files; if
its writer dies in between, the next one finishes it. So a commit happens entirely or not at all.

The folder may come from a stranger. An entry of its log is applied only if all of it is sound, and
symbolic links are neither followed nor replaced.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from time import gmtime, strftime
from typing import Annotated
from uuid import uuid4

from filelock import FileLock
from pydantic import AfterValidator, Field

from leaderboard.store.backend import (
    MAX_FILE,
    Changes,
    Moved,
    Unwritable,
    check_path,
    is_path,
    too_large,
)
from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.paths import write_file
from var_spaces.record import Sha256
from var_spaces.validation import FrozenModel, freeze

HIDDEN = ".store"
ENTRY = "entry.json"
PATIENCE = 60.0  # seconds to wait for the lock
MAX_ENTRY = 4 * 1024 * 1024  # bytes

Paths = AfterValidator(lambda changes: freeze({check_path(p): d for p, d in changes.items()}))


class Head(FrozenModel):
    """The last commit that is known to be applied; 0 is before the first."""

    number: int = Field(0, ge=0)
    id: str = Field("", pattern=r"^([0-9a-f]{40})?$")


class Commit(FrozenModel):
    """An entry of the log: digests of the new contents by path, None where a file goes."""

    number: int = Field(ge=1)
    parent: str
    message: str
    time: str
    changes: Annotated[dict[str, Sha256 | None], Paths]


class FolderBackend:
    """See :class:`leaderboard.store.backend.Backend`.

    Args:
        root: the folder; made at the first commit.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.hidden = self.root / HIDDEN
        self.log = self.hidden / "commits"

    def __str__(self) -> str:
        return str(self.root)

    def head(self) -> str:
        head = self._head()
        if self._entry_of(head.number + 1).exists():
            try:
                with self._lock():
                    head = self._recover()
            except (VarSpacesError, OSError):
                pass  # a reader sees the state before; see problems()
        return head.id

    def list(self, prefix: str, at: str) -> list[str]:
        base = prefix.rpartition("/")[0]
        found = self._walk(check_path(base) if base else "")
        return sorted(path for path, odd in found if not odd and path.startswith(prefix))

    def read(self, path: str, at: str) -> bytes | None:
        try:
            return _read_plain(self._place(check_path(path)), MAX_FILE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise VarSpacesError(f"{path} cannot be read: {error.strerror}.") from None

    def commit(self, changes: Changes, parent: str, message: str) -> str:
        for path, data in changes.items():
            self._place(check_path(path))
            if data is not None and len(data) > MAX_FILE:
                raise too_large(path)
        try:
            self.log.mkdir(parents=True, exist_ok=True)
            with self._lock():
                head = self._recover()
                if head.id != parent:
                    raise Moved
                self._write_log(changes, head, message)
                return self._recover().id
        except OSError as error:
            reason = error.strerror or "another process holds its lock"
            raise Unwritable(f"Cannot write to {self.root}: {reason}.") from None

    def commits(self) -> list[Commit]:
        """The log, oldest first; damaged entries are left out."""
        found = []
        for number in self._logged():
            try:
                found.append(self._commit(number)[0])
            except VarSpacesError:
                continue
        return found

    def problems(self) -> list[str]:
        lines = [f"{path}: it is {odd}; it is left out" for path, odd in self._walk() if odd]
        if self.root.exists() and not self.root.is_dir():
            lines.append("it is a file; a store is a folder")
        if (self.hidden / "head").exists() and self._written_head() is None:
            lines.append(f"{HIDDEN}/head: it is damaged; the log says what it should hold")
        lines += [
            f"{HIDDEN}/commits/{name}: it is no commit" for name in self._names_in_log() if not
            self._is_commit(name)
        ]  # fmt: skip
        head = self._head()
        for number in self._logged():
            try:
                if number == head.number + 1:
                    self._following(head)
                self._commit(number)
            except (VarSpacesError, OSError) as error:
                lines.append(str(error))
        return lines

    # --- files --------------------------------------------------------------------------------

    def _place(self, path: str) -> Path:
        """Where a checked path lies; refused if a link stands in the way."""
        place = str(self.root)  # text: this is done for every file that is read
        for part in path.split("/"):
            place = os.path.join(place, part)
            if os.path.islink(place):
                raise VarSpacesError(
                    f"{place} is a symbolic link: a store has none, so it is left as it is."
                )
        return Path(place)

    def _walk(self, base: str = "") -> Iterator[tuple[str, str]]:
        """Paths of all visible files, each with what is odd about it, "" for a sound one."""
        try:
            start = self._place(base) if base else self.root
        except VarSpacesError:
            return  # behind a link
        for folder, folders, files in os.walk(start):
            inside = Path(folder).relative_to(self.root)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            known = set(folders)
            for name in (*folders, *files):
                place, path = os.path.join(folder, name), (inside / name).as_posix()
                if os.path.islink(place):
                    yield path, "a symbolic link"
                elif name not in known and not name.startswith("."):
                    yield path, "" if is_path(path) else "no path of a store"

    # --- the log ------------------------------------------------------------------------------

    def _lock(self) -> FileLock:
        return FileLock(self.hidden / "lock", timeout=PATIENCE, poll_interval=0.005)

    def _head(self) -> Head:
        """What is written, else what the log says. Only the last commit can be unfinished."""
        head = self._written_head()
        if head is None or self._entry_of(head.number + 2).exists():
            return self._head_of_log()
        return head

    def _written_head(self) -> Head | None:
        try:
            text = _read_plain(self.hidden / "head", 1024)
            data = codecs.parse_json(text, "The head")
            return Head(**data) if isinstance(data, dict) and data else None
        except (VarSpacesError, OSError):
            return None

    def _head_of_log(self) -> Head:
        """The commit before the last sound one, which may have to be applied again: every writer
        finishes what is in the log before it adds to it."""
        for number in reversed(self._logged()):
            try:
                commit, _ = self._commit(number)
            except VarSpacesError:
                continue
            return Head(number=number - 1, id=commit.parent)
        return Head()

    def _names_in_log(self) -> list[str]:
        try:
            return sorted(os.listdir(self.log))
        except OSError:
            return []

    def _is_commit(self, name: str) -> bool:
        return name.isdecimal() and name == _name(int(name)) and (self.log / name / ENTRY).exists()

    def _logged(self) -> list[int]:
        return [int(name) for name in self._names_in_log() if self._is_commit(name)]

    def _entry_of(self, number: int) -> Path:
        return self.log / _name(number) / ENTRY

    def _commit(self, number: int) -> tuple[Commit, str]:
        """An entry of the log and its id.

        Raises:
            VarSpacesError: if it is damaged, or a path in it leads out of the store.
        """
        where = f"{HIDDEN}/commits/{_name(number)}"
        try:
            text = _read_plain(self._entry_of(number), MAX_ENTRY)
            data = codecs.parse_json(text, "it", MAX_ENTRY)
            if not isinstance(data, dict):
                raise VarSpacesError("it is no JSON object")
            commit = Commit(**data)
            if commit.number != number:
                raise VarSpacesError(f"it says that it is commit {commit.number}")
        except VarSpacesError as error:
            raise VarSpacesError(f"{where}: {str(error).rstrip('.')}.") from None
        except OSError as error:
            raise VarSpacesError(f"{where}: {error.strerror}.") from None
        return commit, hashlib.sha256(text).hexdigest()[:40]

    def _write_log(self, changes: Changes, head: Head, message: str) -> None:
        """Make the commit real, with all its content, by one rename."""
        number = head.number + 1
        digests = {
            path: None if data is None else hashlib.sha256(data).hexdigest()
            for path, data in changes.items()
        }
        time = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
        entry = {"number": number, "parent": head.id, "message": message, "time": time}
        text = codecs.canonical({**entry, "changes": digests}).encode()
        stage, place = self.hidden / f"stage-{uuid4().hex}", self.log / _name(number)
        stage.mkdir()
        try:
            for position, path in enumerate(sorted(changes)):
                if changes[path] is not None:
                    _write_durably(stage / str(position), changes[path])
            _write_durably(stage / ENTRY, text)
            if place.exists():  # it holds no entry, so it is none of ours
                os.rename(place, self.hidden / f"damaged-{uuid4().hex}")
            os.rename(stage, place)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def _recover(self) -> Head:
        """Apply what is in the log and not yet in the files; call it under the lock.

        Raises:
            VarSpacesError: if an entry is damaged: nothing of it is applied.
        """
        head = self._head()
        while self._entry_of(head.number + 1).exists():
            folder = self.log / _name(head.number + 1)
            contents, head = self._following(head)
            try:
                for path, data in contents.items():
                    self._apply(path, data)
                write_file(self.hidden / "head", codecs.canonical(head.model_dump()).encode())
            except VarSpacesError as error:  # no room: the next writer goes on here
                raise Unwritable(str(error)) from None
            for blob in folder.glob("[0-9]*"):
                blob.unlink()
        return head

    def _following(self, head: Head) -> tuple[dict[str, bytes | None], Head]:
        """What the commit after a head changes, checked whole, and the head that it makes."""
        number = head.number + 1
        commit, id = self._commit(number)
        try:
            if commit.parent != head.id:
                raise VarSpacesError("it does not follow the commit before it")
            contents = self._contents(commit, self.log / _name(number))
        except VarSpacesError as error:
            raise VarSpacesError(
                f"{HIDDEN}/commits/{_name(number)} is damaged ({error}): nothing of it was "
                "applied. Remove it, or take another copy of the store."
            ) from None
        return contents, Head(number=number, id=id)

    def _contents(self, commit: Commit, folder: Path) -> dict[str, bytes | None]:
        """New content by path; a content that is gone was applied before."""
        found: dict[str, bytes | None] = {}
        for position, path in enumerate(sorted(commit.changes)):
            digest, blob = commit.changes[path], folder / str(position)
            if self._place(path).is_dir():
                raise VarSpacesError(f"{path} is a folder")
            if digest is None:
                found[path] = None
            elif blob.exists() or blob.is_symlink():
                found[path] = _read_plain(blob, MAX_FILE)
                if hashlib.sha256(found[path]).hexdigest() != digest:
                    raise VarSpacesError(f"the content of {path} was changed")
        return found

    def _apply(self, path: str, data: bytes | None) -> None:
        target = self._place(path)
        if data is None:
            target.unlink(missing_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, data)


def _name(number: int) -> str:
    return f"{number:08d}"


def _read_plain(path: Path, most: int) -> bytes:
    """Content of a plain file.

    Raises:
        VarSpacesError: for anything else, or more than ``most`` bytes.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise VarSpacesError(f"{path.name} is no plain file.")
        data = opened.read(most + 1)
    if len(data) > most:
        raise too_large(path.name) if most == MAX_FILE else VarSpacesError(
            f"{path.name} is larger than the allowed {most} bytes."
        )  # fmt: skip
    return data


def _write_durably(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
