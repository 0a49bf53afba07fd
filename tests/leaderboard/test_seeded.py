"""The results that come with the project are sound, and belong to the suites as they are."""

from __future__ import annotations

from leaderboard.sound import problems, stale
from leaderboard.store import open_store
from leaderboard.store.index import PATH, read, scores
from leaderboard.store.places import SEEDED
from leaderboard.suites.base import get_suite


def test_seeded_results():
    store = open_store(SEEDED)
    rows = store.rows()
    assert len(rows) >= 20
    assert problems(store) == []
    assert stale(store) == []
    assert set(read(store.read(PATH))) == {row["path"] for row in rows}
    for row in rows:
        assert row["protocol"] == get_suite(row["suite"]).protocol
        assert row["device"].startswith("cpu: ") or "NVIDIA" in row["device"]
        assert scores(row)
