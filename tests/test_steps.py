"""Schedules for any size and number of steps."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from var_spaces.errors import VarSpacesError
from var_spaces.steps import PUBLISHED, USUAL, resized, stretched

OWN = (1, 2, 3, 4, 6, 8)


@given(st.integers(1, 48), st.integers(1, 48), st.data())
def test_any_size_and_number_of_steps(height, width, data):
    most = max(math.floor(math.sqrt(height * width)), 2)
    steps = data.draw(st.none() | st.integers(2, most)) if height * width > 1 else None
    sizes = resized(OWN, height, width, steps).sizes
    assert sizes[0] == (1, 1) and sizes[-1] == (height, width)
    assert steps in (None, len(sizes))
    assert len(set(sizes)) == len(sizes)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(sizes))


def test_own_and_published_lists():
    assert resized(OWN, 8, 8).sizes == tuple((s, s) for s in OWN)
    for (side, steps), sides in PUBLISHED.items():
        assert resized(USUAL, side, side, steps).sizes == tuple((s, s) for s in sides)
    assert resized(USUAL, 16, 16).num_scales == 10
    assert resized(USUAL, 32, 32).num_scales == 15


def test_shape_of_a_stretched_list():
    sizes = ((1, 1), (2, 3), (3, 5), (4, 6), (6, 9), (8, 12))
    assert stretched(OWN, 8, 12).sizes == sizes


@pytest.mark.parametrize("steps", [1, 9])
def test_impossible_numbers_of_steps(steps):
    with pytest.raises(VarSpacesError, match="8x8 tokens takes 2 to 8 steps"):
        resized(OWN, 8, 8, steps)
