"""Which images of a claim are drawn again, and how far its numbers may be off."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest

from leaderboard.metrics.psnr import Psnr
from leaderboard.result import Samples
from leaderboard.submissions.verify import _checks, _chosen, _Found
from tests.leaderboard.results import pair


@pytest.mark.parametrize(
    ("same", "claimed", "holds"),
    [
        (True, 20.0 + 1e-6, True),
        (True, 20.0 + 1e-3, False),
        (False, 22.0, True),
        (False, 22.5, False),
    ],
)
def test_a_claim_may_be_off_by_rounding_or_by_standard_errors(same, claimed, holds):
    """Equal tokens give equal numbers; others as far as the mean of the probe is uncertain: three
    times 1 / sqrt(2) here."""
    result, samples = pair(0)
    samples = samples.model_copy(update={"values": {"psnr@1": (claimed, claimed)}})
    here = _Found((0, 1), (), (), {"psnr@1": np.array([19.0, 21.0])}, {})
    (check,) = _checks(result, samples, here, same)
    assert check.holds == holds


@pytest.mark.parametrize("seed", range(4))
def test_a_claim_takes_nothing_from_what_is_drawn_by_lot(seed):
    """What its numbers point at, and what they are called, joins the images of the lot."""
    metric = Psnr()
    job = SimpleNamespace(
        n=16,
        batches=[[n, n + 1] for n in range(0, 16, 2)],
        suite=SimpleNamespace(metrics=lambda: [metric], reference=lambda: None),
    )
    lot, values = random.Random(seed), {f"!{n}": (0.0,) * n + (1.0,) * (16 - n) for n in range(16)}
    digests = ("0" * 16,) * 16
    values[metric.identity(16, None)] = (0.0,) * 5 + (9.0,) + (0.0,) * 10
    chosen = _chosen(job, Samples(tokens=digests, pixels=digests, values=values), 6, lot)
    by_lot = random.Random(seed).sample(range(8), 8)[:3]
    assert chosen == sorted({*by_lot, 2})
