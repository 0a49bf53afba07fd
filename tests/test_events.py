"""Events are frozen and import nothing heavy."""

from __future__ import annotations

import dataclasses

import pytest

from var_spaces.events import ImageReady, ScaleDone, Started
from var_spaces.schedule import ScaleSchedule


def test_events_are_frozen():
    event = ImageReady(index=3, image=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.index = 4


def test_events_compare_by_identity():
    """They hold arrays, whose ``==`` has no truth value."""
    assert ImageReady(0, None) != ImageReady(0, None)


def test_fields():
    names = [field.name for field in dataclasses.fields(ScaleDone)]
    assert names[:5] == ["scale", "size", "tokens", "kv_bytes", "kv_full_bytes"]
    started = Started(spec=None, id="0" * 16, schedule=ScaleSchedule.square((1, 2)), model="m")
    assert started.schedule.total == 5
