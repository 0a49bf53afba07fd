"""Two results beside each other."""

from __future__ import annotations

import pytest

from leaderboard.compare import compare
from tests.leaderboard.results import pair, score


def test_times_are_compared_on_one_machine_only():
    base = pair(0)[0].environment
    cost = score("latency@1", 5.0, better="lower", unit="ms")
    (a, samples), (b, _), (c, _) = (
        pair(n, costs=(cost,), environment=base.model_copy(update={"device": device}))
        for n, device in enumerate(("cpu: A", "cpu: A", "cpu: B"))
    )
    same, other = ({x.metric for x in compare(a, than, samples, samples)} for than in (b, c))
    assert "latency@1" in same and "latency@1" not in other


@pytest.mark.parametrize(("better", "verdict"), [("higher", "better"), ("lower", "worse")])
def test_more_is_better_or_worse_as_the_metric_says(better, verdict):
    scores = (score(better=better),)
    (a, low), (b, high) = (pair(n, scores=scores) for n in (0, 1))
    low, high = (
        samples.model_copy(update={"values": {"psnr@1": (at, at + 0.1)}})
        for samples, at in ((low, 1.0), (high, 2.0))
    )
    assert [x.verdict for x in compare(a, b, low, high)] == [verdict]
    assert [x.verdict for x in compare(b, a, high, low)] != [verdict]


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0, 3.0)])
def test_images_without_a_partner_are_no_pairs(values):
    (a, samples), (b, _) = pair(0), pair(1)
    odd = samples.model_copy(update={"values": {"psnr@1": values}})
    for first, second in ((samples, odd), (odd, samples), (odd, odd)):
        (found,) = compare(a, b, first, second)
        paired = first is second and bool(values)
        assert (found.low is not None) == bool(found.verdict) == paired
