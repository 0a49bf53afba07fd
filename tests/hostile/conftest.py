"""A sound store to damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard import sound
from leaderboard.store import Store
from leaderboard.store.folder import FolderBackend
from tests.hostile.stores import REQUEST, RESULT, SAMPLES, VERDICT


@pytest.fixture
def folder(tmp_path) -> Path:
    """A sound store: one result, one request, one verdict."""
    store = Store(FolderBackend(tmp_path / "store"))
    store.add(RESULT, SAMPLES)
    for part in (REQUEST, VERDICT):
        store.update(part.path, lambda _, part=part: part.to_json().encode(), "add")
    assert sound.problems(store) == []
    return tmp_path / "store"
