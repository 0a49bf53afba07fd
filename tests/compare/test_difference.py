"""Differences of runs: exact zero for equal ones, the first place where others part."""

from __future__ import annotations

import numpy as np
import pytest

from var_spaces import RunSpec
from var_spaces.compare.difference import Divergence, difference
from var_spaces.compare.interleave import interleave
from var_spaces.compare.similarity import heat, ssim
from var_spaces.compare.trace import Trace
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.similarity import LIMIT, psnr
from var_spaces.events import Finished, ScaleDone

SPEC = RunSpec(model="tiny-var", inputs={"class": "key"}, seed=4)
RANDOM = np.random.default_rng(0)


def picture(height: int = 20, width: int = 24) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


def traces(*specs: RunSpec) -> list[Trace]:
    found = [Trace("tiny-tokenizer") for _ in specs]
    for number, event in interleave(specs):
        found[number].note(event)
    return found


def test_equal_specs_show_exactly_no_difference(use_tiny_models):
    found = difference(*traces(SPEC, SPEC))
    assert found.is_none
    assert (found.agreement, found.psnr, found.first) == (1, LIMIT, None)
    assert [scale.agreement for scale in found.scales] == [1, 1, 1]


def test_ids_and_bits_are_not_compared():
    """Two runs of families that share all map sizes, as a program may ask for."""
    seen = [picture(), picture()]
    ids = [np.zeros(1, np.int64), np.zeros(4, np.int64)]
    bits = [np.zeros((1, 8), np.int64), np.zeros((4, 8), np.int64)]
    a = Trace("ids", sizes=[(1, 1), (2, 2)], ids=ids, pictures=seen)
    found = difference(a, Trace("bits", sizes=a.sizes, ids=bits, pictures=seen))
    assert not found.comparable and found.agreement is found.first is None
    assert found.psnr == LIMIT and [scale.agreement for scale in found.scales] == [None, None]


def test_turns_change_no_run(use_tiny_models):
    other = SPEC.replace(seed=5, cache={"name": "sliding-window", "budget": 0.3})
    events = list(interleave([SPEC, other]))
    order = [number for number, event in events if isinstance(event, ScaleDone)]
    assert order == [0, 1] * 3
    together = {n: e.record.token_sha256 for n, e in events if isinstance(e, Finished)}
    for number, spec in enumerate((SPEC, other)):
        *_, (_, alone) = interleave([spec])
        assert together[number] == alone.record.token_sha256


def test_a_refused_column_stops_all_before_any_work(use_tiny_models):
    with pytest.raises(VarSpacesError, match="Column B: Model 'tiny-var' has no class"):
        interleave([SPEC, SPEC.replace(inputs={"class": "kez"})])


def test_closing_stops_every_run(use_tiny_models):
    events = interleave([SPEC, SPEC])
    next(events)
    events.close()
    assert next(events, None) is None


def trace(ids: list[list[int]], tokenizer: str = "t", sizes=((1, 1), (2, 2))) -> Trace:
    found = Trace(tokenizer)
    found.sizes = list(sizes)
    found.ids = [np.array(row) for row in ids]
    found.pictures = [picture() for _ in ids]
    return found


def test_the_first_different_token_is_named():
    a, b = trace([[1], [1, 2, 3, 4]]), trace([[1], [1, 2, 9, 8]])
    found = difference(a, b)
    assert found.first == Divergence(scale=1, row=1, column=0, size=(2, 2))
    assert [scale.agreement for scale in found.scales] == [1, 0.5]
    assert found.agreement == pytest.approx(3 / 5)
    assert not found.is_none


def test_a_bit_is_enough_to_part():
    a, b = trace([[[0, 1]]], sizes=[(1, 1)]), trace([[[1, 1]]], sizes=[(1, 1)])
    found = difference(a, b)
    assert found.agreement == 0.5
    assert found.first == Divergence(0, 0, 0, (1, 1))


def test_tokens_of_other_tokenizers_and_maps_are_not_compared():
    a = trace([[1], [1, 2, 3, 4]])
    found = difference(a, trace([[1], [1, 2, 3, 4]], "other"))
    assert (found.agreement, found.first, found.comparable) == (None, None, False)
    assert found.psnr is not None
    short = difference(a, trace([[1], [5, 6]], sizes=[(1, 1), (1, 2)]))
    assert len(short.scales) == 1


def test_psnr_and_ssim_agree_with_their_definitions():
    a, b = picture(), picture()
    assert psnr(a, b) == pytest.approx(10 * np.log10(255**2 / np.mean((a - b.astype(float)) ** 2)))
    assert psnr(a, a) == LIMIT
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a[:8], b[:8]) is None
    assert heat(a, a).max() == 0
    assert heat(np.zeros_like(a), np.full_like(a, 255)).min() == 1
    assert ssim(a, b) == pytest.approx(_slow_ssim(a, b), abs=1e-12)


def _slow_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """The formula at every position, one by one."""
    line = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    weight = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        for y in range(a.shape[0] - 10):
            for x in range(a.shape[1] - 10):
                u, v = (p[y : y + 11, x : x + 11, channel].astype(float) for p in (a, b))
                mu, mv = (weight * u).sum(), (weight * v).sum()
                su, sv = (weight * u * u).sum() - mu**2, (weight * v * v).sum() - mv**2
                suv = (weight * u * v).sum() - mu * mv
                top = (2 * mu * mv + c1) * (2 * suv + c2)
                values.append(top / ((mu**2 + mv**2 + c1) * (su + sv + c2)))
    return float(np.mean(values))
