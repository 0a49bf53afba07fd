"""The simulation of docs/scale.md against what queues are known to do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.scale_plan import Site, fewest, law, simulate

SITE = Site(replicas=2, images=1, first=1.0, more=1.0)


def test_an_idle_site_takes_as_long_as_a_picture():
    found = simulate(SITE, rate=0.01, seconds=5000)
    assert found.within(0.5) == pytest.approx(1.0)
    assert found.batch == 1 and found.loads == 0


def test_waiting_is_that_of_the_formula():
    """One server, fixed service time (M/D/1): mean wait in the line rho / (2 (1 - rho))."""
    rho = 0.7
    found = simulate(replace(SITE, replicas=1), rate=rho, seconds=200_000)
    assert sum(found.waits) / len(found.waits) - 1 == pytest.approx(rho / (2 * (1 - rho)), rel=0.05)
    assert found.busy == pytest.approx(rho, rel=0.02)


def test_too_many_runs_pile_up():
    found = simulate(SITE, rate=4, seconds=1000)
    assert found.busy > 0.99
    assert found.left == pytest.approx(2000, rel=0.1)  # half of them


def test_batches_carry_more():
    """A batch of eight for twice the time of one is four times the pictures."""
    batched = replace(SITE, images=8, more=1 / 7)
    found = simulate(batched, rate=6, seconds=1000)
    assert found.left < 30 and found.batch > 3
    assert simulate(SITE, rate=6, seconds=1000).left > 3000


def test_models_that_do_not_fit_are_loaded_again():
    few = simulate(replace(SITE, load=1.0, held=1), 0.5, 2000, (0.5, 0.5))
    all_ = simulate(replace(SITE, load=1.0, held=2), 0.5, 2000, (0.5, 0.5))
    assert all_.loads == 0 < few.loads
    assert few.busy > all_.busy


def test_the_page_gives_way_first_where_it_is_the_slower():
    slow = replace(SITE, replicas=100, page=0.5, pages=1)
    assert simulate(slow, rate=3, seconds=500).within(0.95) > 60
    found = simulate(replace(slow, pages=3), rate=3, seconds=500)
    assert found.within(0.95) < 5 and found.paging == pytest.approx(0.5, rel=0.1)


def test_the_fewest_are_enough_and_one_half_is_not():
    site = replace(SITE, images=4, more=0.25)
    found = fewest(site, 20, 5, 400, (1.0,))
    assert 20 / (4 / 1.75) <= found <= 20
    late = simulate(replace(site, replicas=found // 2), 20, 400)
    assert late.within(0.95) > 5 or late.left > 0.05 * 8000


def test_the_law_counts():
    first, more = law(2e9, 680, 10)
    assert more == pytest.approx(2 * 2e9 * 680 * 2 / 1e14)
    assert math.isclose(first - more, 0.2)
