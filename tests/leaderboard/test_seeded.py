"""The results that come with the project are sound, and belong to the suites as they are."""

from __future__ import annotations

from leaderboard.sound import problems, stale
from leaderboard.store import open_store
from leaderboard.store.index import PATH, read, scores
from leaderboard.store.places import SEEDED
from leaderboard.suites.base import get_suite
from var_spaces.zoo.cards import get_card


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


def test_rows_of_adapters_name_the_weights_that_they_stand_beside():
    """Else a row stays "of today" when its base has learned something else."""
    results, _ = open_store(SEEDED).read_results()
    cards = [get_card(result.entry["model"]) for result in results]
    assert any(card.base for card in cards)
    for card, result in zip(cards, results, strict=True):
        assert set(card.lineage) <= set(result.weights)
