"""A store in a local folder, safe for many processes and for a kill at any moment.

Beside the files, a hidden folder ``.store`` holds a lock, the head, and the log of all commits. A
commit is first written whole into the log (one rename makes it real), then applied to the files; if
its writer dies in between, the next one finishes it. So a commit happens entirely or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from time import gmtime, strftime
from typing import Any
from uuid import uuid4

from filelock import FileLock

from leaderboard.store.backend import Changes, Moved, check_path
from var_spaces.codecs import canonical
from var_spaces.errors import VarSpacesError
from var_spaces.spec import write_file

HIDDEN = ".store"
ENTRY = "entry.json"
PATIENCE = 60.0  # seconds to wait for the lock


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
        if not self._applied(head):
            with self._lock():
                head = self._recover()
        return head["id"]

    def list(self, prefix: str, at: str) -> list[str]:
        base = self.root / prefix if prefix.endswith("/") else self.root
        found = (path.relative_to(self.root) for path in base.rglob("*") if path.is_file())
        visible = (p.as_posix() for p in found if not any(n.startswith(".") for n in p.parts))
        return sorted(path for path in visible if path.startswith(prefix))

    def read(self, path: str, at: str) -> bytes | None:
        try:
            return (self.root / check_path(path)).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def commit(self, changes: Changes, parent: str, message: str) -> str:
        for path in changes:
            check_path(path)
        try:
            self.log.mkdir(parents=True, exist_ok=True)
            with self._lock():
                head = self._recover()
                if head["id"] != parent:
                    raise Moved
                self._write_log(changes, head, message)
                return self._recover()["id"]
        except OSError as error:
            raise VarSpacesError(f"Cannot write to {self.root}: {error.strerror}.") from None

    def commits(self) -> list[dict[str, Any]]:
        """The log, oldest first: number, parent, message, time and digests of what changed."""
        return [json.loads((path / ENTRY).read_bytes()) for path in self._logged()]

    # --- the log ------------------------------------------------------------------------------

    def _lock(self) -> FileLock:
        return FileLock(self.hidden / "lock", timeout=PATIENCE, poll_interval=0.005)

    def _head(self) -> dict[str, Any]:
        """The last commit that is known to be applied."""
        try:
            return json.loads((self.hidden / "head").read_bytes())
        except FileNotFoundError:
            return {"number": 0, "id": ""}

    def _logged(self) -> list[Path]:
        return sorted(self.log.iterdir()) if self.log.is_dir() else []

    def _applied(self, head: dict[str, Any]) -> bool:
        return not (self.log / _name(head["number"] + 1)).exists()

    def _write_log(self, changes: Changes, head: dict[str, Any], message: str) -> None:
        """Make the commit real, with all its content, by one rename."""
        number = head["number"] + 1
        digests = {
            path: None if data is None else hashlib.sha256(data).hexdigest()
            for path, data in changes.items()
        }
        time = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
        entry = {"number": number, "parent": head["id"], "message": message, "time": time}
        entry["changes"] = digests
        text = canonical(entry).encode()
        stage = self.hidden / f"stage-{uuid4().hex}"
        stage.mkdir()
        try:
            for position, path in enumerate(sorted(changes)):
                if changes[path] is not None:
                    _write_durably(stage / str(position), changes[path])
            _write_durably(stage / ENTRY, text)
            os.rename(stage, self.log / _name(number))
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def _recover(self) -> dict[str, Any]:
        """Apply what is in the log and not yet in the files; call it under the lock."""
        head = self._head()
        while not self._applied(head):
            folder = self.log / _name(head["number"] + 1)
            text = (folder / ENTRY).read_bytes()
            entry = json.loads(text)
            for position, path in enumerate(sorted(entry["changes"])):
                self._apply(path, folder / str(position))
            head = {"number": entry["number"], "id": hashlib.sha256(text).hexdigest()[:40]}
            write_file(self.hidden / "head", canonical(head).encode())
            for blob in folder.glob("[0-9]*"):
                blob.unlink()
        return head

    def _apply(self, path: str, blob: Path) -> None:
        target = self.root / path
        if blob.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, blob.read_bytes())
        else:
            target.unlink(missing_ok=True)


def _name(number: int) -> str:
    return f"{number:08d}"


def _write_durably(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
