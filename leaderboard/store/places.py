"""Which stores there are: the one to write to, and all that a reader sees."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from leaderboard.store.folder import FolderBackend
from leaderboard.store.hub import HubBackend
from leaderboard.store.store import Store
from var_spaces.paths import expanded

STORE_VARIABLE = "VAR_SPACES_LEADERBOARD"
HUB_PREFIX = "hf://datasets/"
LOCAL = Path("runs") / "leaderboard" / "store"
SEEDED = Path(__file__).resolve().parents[1] / "results"  # measured here, part of the project


def open_store(place: str | Path | None = None) -> Store:
    """The store to write to.

    Args:
        place: a folder or ``hf://datasets/owner/name``; None is ``VAR_SPACES_LEADERBOARD``, else
            ``runs/leaderboard/store`` below the working directory.
    """
    text = str(place or os.environ.get(STORE_VARIABLE) or LOCAL)
    if text.startswith(HUB_PREFIX):
        return Store(_hub(text.removeprefix(HUB_PREFIX).strip("/")))
    return Store(FolderBackend(expanded(text)))


@lru_cache(maxsize=8)
def _hub(repository: str) -> HubBackend:
    """One for all who ask: it keeps what it has read."""
    return HubBackend(repository)


def reading_stores(place: str | Path | None = None) -> list[Store]:
    """What a reader sees: the results that come with the project, then those of the own store."""
    seeded, own = open_store(SEEDED), open_store(place)
    return [seeded] if str(own.backend) == str(seeded.backend) else [seeded, own]
