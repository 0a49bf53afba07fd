"""As much of ``HfApi`` as a store uses, in memory: commits, heads, and the errors of the Hub."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from huggingface_hub import CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError


class FakeHub:
    """States of a repository, oldest first; each is a folder of its own."""

    def __init__(self, folder: Path, broken: bool = False) -> None:
        self.folder, self.broken = folder / "hub", broken
        self.states: list[dict[str, bytes]] = [{}]
        self.downloads: list[str] = []

    def _name(self) -> str:
        return f"{len(self.states):040x}"

    def _state(self, revision: str) -> dict[str, bytes]:
        return self.states[-1 if revision == "main" else int(revision, 16) - 1]

    def repo_info(self, repo_id: str, repo_type: str, revision: str) -> Any:
        if self.broken:
            raise error(HfHubHTTPError, 401)
        return SimpleNamespace(sha=self._name())

    def list_repo_tree(self, repo_id: str, repo_type: str, revision: str, recursive: bool) -> Any:
        files = self._state(revision).items()
        folders = {path.rpartition("/")[0] for path, _ in files if "/" in path}
        yield from (SimpleNamespace(path=path) for path in folders)
        for path, data in files:
            content = hashlib.sha1(data).hexdigest()
            yield SimpleNamespace(path=path, size=len(data), blob_id=content)

    def hf_hub_download(self, repo_id: str, repo_type: str, filename: str, revision: str) -> str:
        state = self._state(revision)
        self.downloads.append(filename)
        if filename not in state:
            raise error(RemoteEntryNotFoundError, 404)
        path = self.folder / revision / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(state[filename])
        return str(path)

    def create_commit(self, *, operations: list[Any], parent_commit: str, **_: Any) -> Any:
        if parent_commit != self._name():
            raise error(HfHubHTTPError, 412)
        state = dict(self.states[-1])
        for operation in operations:
            if isinstance(operation, CommitOperationDelete):
                del state[operation.path_in_repo]
            else:
                state[operation.path_in_repo] = operation.path_or_fileobj
        self.states.append(state)
        return SimpleNamespace(oid=self._name())


def error(kind: type, status: int) -> Exception:
    return kind("refused", response=SimpleNamespace(status_code=status, headers={}, request=None))
