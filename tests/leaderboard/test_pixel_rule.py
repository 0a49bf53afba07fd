"""The rule that makes pixels of a decoder's numbers belongs to the protocol of every suite.

Another rule gives other images and other scores: whoever changes what is held here raises the
versions of all suites, and writes docs/leaderboard.md anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from var_spaces.decoding.loop.pixels import to_uint8

PAGE = Path(__file__).parents[2] / "docs" / "leaderboard.md"
RULE = "`round(127.5 (x + 1))`, halves to the even"


def pixels(*numbers: float) -> list[int]:
    images = torch.tensor(numbers, dtype=torch.float32).reshape(1, 1, 1, -1).expand(1, 3, 1, -1)
    found = to_uint8(images)
    assert found.dtype == np.uint8 and found.shape == (1, 1, len(numbers), 3)
    return found[0, 0, :, 0].tolist()


def at(level: float) -> float:
    """What lies at a level of grey, -1..1."""
    return level / 127.5 - 1


def test_the_ends():
    assert pixels(-1, 1) == [0, 255]
    assert pixels(-1.01, -5, 1.01, 5, -torch.inf, torch.inf) == [0, 0, 255, 255, 0, 255]
    assert pixels(at(0.4), at(0.6), at(254.4), at(254.6)) == [0, 1, 254, 255]


def test_the_nearest_level():
    for level in (0, 1, 2, 63, 126, 127, 128, 191, 253, 254):
        above = at(level), at(level + 0.49), at(level + 0.51), at(level + 0.99)
        assert pixels(*above) == [level, level, level + 1, level + 1]


def test_halves_go_to_the_even_level():
    """Of numbers that are halves in float32, too: where those lie depends on the level."""
    for level in (64.5, 66.5, 72.5, 127.5, 251.5, 253.5, 254.5):
        near = np.float32(at(level))
        x = next(
            x
            for x in (near, *(np.nextafter(near, np.float32(end)) for end in (-2, 2)))
            if (x + np.float32(1)) * np.float32(127.5) == level
        )
        assert pixels(float(x)) == [2 * round(level / 2)]


def test_what_other_codes_do():
    """Adding a half and cutting off is the same but for halves; cutting off alone is another rule,
    half a level darker on average."""
    x = np.linspace(-1, 1, 100_001, dtype=np.float32)
    ours = np.array(pixels(*x.tolist()))
    added = np.clip(127.5 * x.astype(np.float64) + 128, 0, 255).astype(int)
    cut = np.clip(127.5 * (x.astype(np.float64) + 1), 0, 255).astype(int)
    assert (ours != added).mean() < 1e-3
    assert (ours != cut).mean() == pytest.approx(0.5, abs=0.01)
    assert (ours - cut).mean() == pytest.approx(0.5, abs=0.01)


def test_the_page_names_it():
    assert RULE in PAGE.read_text("utf-8")
