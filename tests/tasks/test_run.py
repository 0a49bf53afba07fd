"""Execution settings of a run: they are no part of its spec, and its record names them."""

from __future__ import annotations

import numpy as np
import pytest

from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished


def finished(**settings) -> Finished:
    return list(api.stream(model="tiny-var", class_="key", count=3, previews=False, **settings))[-1]


def test_images_share_a_batch_on_a_cpu_where_a_host_says_so(use_tiny_models, monkeypatch):
    alone = finished()
    assert alone.record.environment.device == "cpu"
    monkeypatch.setenv("VAR_SPACES_LANE", "2")
    together = finished()
    assert together.record.id == alone.record.id
    assert together.record.environment.device == "cpu, batches of 2"
    for one, other in zip(alone.images, together.images, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("value", ["0", "65", "two", "-1", "1.5", "9" * 50])
def test_a_batch_has_a_bounded_whole_number_of_images(use_tiny_models, monkeypatch, value):
    monkeypatch.setenv("VAR_SPACES_LANE", value)
    with pytest.raises(VarSpacesError, match=r"VAR_SPACES_LANE.*1 to 64"):
        finished()
