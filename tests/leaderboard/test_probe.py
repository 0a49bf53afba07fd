"""Which images of a claim are drawn again, and how far its numbers may be off."""

from __future__ import annotations

import random

import numpy as np
import pytest

from leaderboard.entry import Entry
from leaderboard.result import Samples
from leaderboard.runner.job import Job
from leaderboard.submissions.verify import _checks, _chosen, _Found
from tests.leaderboard.results import ENTRY, pair
from tests.leaderboard.suite import TinySuite


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
    job = Job(TinySuite(), Entry(**ENTRY), 2)
    lot, values = random.Random(seed), {f"!{n}": (0.0,) * n + (1.0,) * (8 - n) for n in range(8)}
    digests = ("0" * 16,) * 8
    (name,) = (name for name in job.named if name.startswith("psnr@"))
    values[name] = (0.0,) * 5 + (9.0,) + (0.0,) * 2
    chosen = _chosen(job, Samples(tokens=digests, pixels=digests, values=values), 3, lot)
    by_lot = random.Random(seed).sample(range(4), 4)[:2]
    assert chosen == sorted({*by_lot, 2})
