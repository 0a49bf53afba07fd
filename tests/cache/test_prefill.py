"""Several scales in one pass: under a mask, or scale by scale without one."""

from __future__ import annotations

import pytest
import torch

from var_spaces.cache.beside import Beside
from var_spaces.cache.kv import KVCache
from var_spaces.cache.prefill import Prefill
from var_spaces.schedule import ScaleSchedule

SCHEDULE = ScaleSchedule.square((1, 2, 3, 4))
SCALE = 2  # the last that enters
TOKENS = SCHEDULE.offsets[SCALE + 1]


@pytest.mark.parametrize("groups", [None, [[[0, 2], [1, 3]]]], ids=["together", "apart"])
@pytest.mark.parametrize("pinned", [0, 3])
@pytest.mark.parametrize("front", [0, 2])
@pytest.mark.parametrize("near", [False, True])
def test_both_ways_attend_alike(groups, pinned, front, near):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, front + TOKENS, 8)
    pins, beside = torch.randn(2, 2, 4, pinned, 8), None
    if near:
        visible = torch.rand(front + TOKENS, 5) > 0.3
        beside = Beside(*torch.randn(2, 2, 4, 5, 8), visible)
    found = []
    for by_scale in (False, True):
        sizes = {"layers": 1, "rows": 2, "heads": 4, "head_dim": 8}
        cache = KVCache(**sizes, capacity=SCHEDULE.total, head_groups=groups)
        if pinned:
            cache.pin(0, *pins)
        prefill = Prefill(cache, SCHEDULE, SCALE)
        assert not prefill.by_scale  # a CPU
        prefill.by_scale = by_scale
        found.append(prefill.attend(0, q, k, v, 0.5, beside=beside, front=front))
        assert cache.lengths[0][0] == TOKENS and cache.pinned == (pinned + front,)
    torch.testing.assert_close(found[0], found[1])
