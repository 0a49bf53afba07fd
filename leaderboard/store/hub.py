"""A store in a dataset repository of the Hugging Face Hub; its commits are the Hub's own.

``create_commit`` is atomic over many files and refuses a ``parent_commit`` that is no longer the
head, which is all a store needs. History is the history of the repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from leaderboard.store.backend import (
    MAX_FILE,
    Changes,
    Moved,
    OutOfReach,
    Unwritable,
    check_path,
    is_path,
    too_large,
)
from var_spaces.errors import VarSpacesError

CONFLICTS = (409, 412)  # the head has moved
SMALL = 16 * 1024  # bytes of a file that is kept in memory
MOST_KEPT = 4096  # of them


class File(NamedTuple):
    """What the Hub says of a file: bytes, and a name that is another for another content."""

    size: int
    content: str


class HubBackend:
    """See :class:`leaderboard.store.backend.Backend`.

    Args:
        repository: ``owner/name`` of a dataset; it must exist.
        api: an ``HfApi``; None makes one (``HF_TOKEN`` in the environment gives it the right to
            write).
        revision: branch.
    """

    def __init__(self, repository: str, api: Any = None, revision: str = "main") -> None:
        self.repository, self.revision, self._api = repository, revision, api
        self._place = {"repo_id": repository, "repo_type": "dataset"}
        self._listed: tuple[str, dict[str, File]] = ("", {})  # the files of one head
        self._kept: dict[str, tuple[str, bytes]] = {}  # small contents that were read last

    def __str__(self) -> str:
        return f"hf://datasets/{self.repository}"

    @property
    def api(self) -> Any:
        if self._api is None:
            from huggingface_hub import HfApi

            self._api = HfApi()
        return self._api

    def head(self) -> str:
        with self._explained():
            return self.api.repo_info(**self._place, revision=self.revision).sha

    def list(self, prefix: str, at: str) -> list[str]:
        return [path for path in self._files(at) if path.startswith(prefix) and is_path(path)]

    def read(self, path: str, at: str) -> bytes | None:
        file = self._files(at).get(check_path(path))
        if file is None:
            return None
        if file.size > MAX_FILE:
            raise too_large(path)
        # The Hub is asked for every file of every head anew, though few of them have changed.
        content, data = self._kept.get(path, ("", b""))
        if content == file.content:
            return data
        with self._explained():
            place = self.api.hf_hub_download(**self._place, filename=path, revision=at)
        data = Path(place).read_bytes()
        if file.size <= SMALL:
            if len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[path] = (file.content, data)
        return data

    def commit(self, changes: Changes, parent: str, message: str) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from huggingface_hub.errors import HfHubHTTPError

        operations = [
            CommitOperationDelete(path_in_repo=check_path(path))
            if data is None
            else CommitOperationAdd(path_in_repo=check_path(path), path_or_fileobj=data)
            for path, data in changes.items()
        ]
        with self._explained(Unwritable):
            try:
                done = self.api.create_commit(
                    **self._place,
                    operations=operations,
                    commit_message=message,
                    revision=self.revision,
                    parent_commit=parent,
                )
            except HfHubHTTPError as error:
                if getattr(error.response, "status_code", None) in CONFLICTS:
                    raise Moved from None
                raise
        return done.oid

    def problems(self) -> list[str]:
        names = [path for path in self._files(self.head()) if not is_path(path)]
        hidden = (".gitattributes", ".gitignore")
        return [f"{n[:80]!r}: it is no path of a store" for n in names if n not in hidden]

    def _files(self, at: str) -> dict[str, File]:
        """All files of a head, by path in order."""
        listed = self._listed  # another thread may ask for another head
        if listed[0] != at:
            with self._explained():
                tree = self.api.list_repo_tree(**self._place, revision=at, recursive=True)
                found = {e.path: File(e.size, e.blob_id) for e in tree if hasattr(e, "size")}
            self._listed = listed = (at, dict(sorted(found.items())))
            for path in list(self._kept):
                if path not in found:
                    self._kept.pop(path, None)
        return listed[1]

    @contextmanager
    def _explained(self, kind: type[VarSpacesError] = OutOfReach) -> Iterator[None]:
        """What goes wrong between here and the Hub, in one line."""
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        # Its base is that of all errors of the HTTP library in use, no answer at all included.
        try:
            yield
        except (HfHubHTTPError.__base__, OfflineModeIsEnabled, OSError) as error:
            reason = str(error).strip().splitlines()[0][:200] if str(error) else type(error)
            raise kind(
                f"The results in {self} cannot be reached: {reason} (does it exist, and does "
                "HF_TOKEN allow this?)"
            ) from None
