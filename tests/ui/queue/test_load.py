"""Twenty visitors at once: everybody gets the own picture, is told the place, and nothing piles up.

A minute of it, on embedded models, is measured by ``benchmarks/load.py``.
"""

from __future__ import annotations

import gc

from benchmarks.load import crowd, expected, resident

VISITORS = 20
MIB = 2**20


def test_twenty_visitors(served, monkeypatch):
    known = expected("tiny-var", 2 * VISITORS)
    assert len({pixels for _, pixels in known}) == len(known)
    tallies = crowd(served, known, VISITORS, lambda done: done >= 1)
    gc.collect()
    before = resident()
    tallies = crowd(served, known, VISITORS, lambda done: done >= 2)
    gc.collect()
    grown = resident() - before

    assert [tally.wrong for tally in tallies] == [0] * VISITORS
    assert [dict(tally.errors) for tally in tallies] == [{}] * VISITORS
    assert all(len(tally.ranks) >= 2 for tally in tallies)  # once per picture at least
    assert max(max(tally.ranks) for tally in tallies) >= VISITORS // 2
    assert all(tally.previews > 0 for tally in tallies)
    assert grown < 48 * MIB
