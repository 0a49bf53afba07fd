"""Times and entropies of a device are read without waiting for what follows."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from tests import tiny
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.clock import DeviceClock
from var_spaces.errors import VarSpacesError
from var_spaces.events import ImageReady, ScaleDone


class Device:
    """A device whose events come when somebody waits for them."""

    def __init__(self) -> None:
        self.time, self.waits, self.done = 0, 0, 0

    def event(self):
        return Event(self)


class Event:
    def __init__(self, device):
        self.device = device

    def record(self):
        self.device.time += 1
        self.at = self.device.time

    def query(self):
        return self.device.done >= self.at

    def synchronize(self):
        self.device.waits += not self.query()
        self.device.done = max(self.device.done, self.at)

    def elapsed_time(self, later):
        assert later.query()
        return 250.0 * (later.at - self.at)


@pytest.fixture
def device(monkeypatch):
    found = Device()
    clock = DeviceClock(found.event, pinned=False)
    monkeypatch.setattr("var_spaces.decoding.loop.run.clock_of", lambda _: clock)
    return found


def test_a_run_waits_for_nothing_before_its_end(device):
    steps = loop.run(tiny.setup((0, 1)))
    scales = [next(steps) for _ in range(4)]
    assert device.waits == 0
    assert scales[1].seconds == 0.25 and device.waits == 1
    assert scales[0].seconds == 0.25 and device.waits == 1  # it was over by then
    assert 0 < scales[1].entropy < math.log(64) and device.waits == 2
    sent = pickle.loads(pickle.dumps(scales[2].measured))
    assert (sent.seconds, sent.entropy) == (scales[2].seconds, scales[2].entropy)
    rest = list(steps)
    assert {type(event) for event in rest} <= {ScaleDone, ImageReady}
    known, _ = tiny.drain(loop.run(tiny.setup((0, 1))))
    assert scales[1].entropy == pytest.approx(known[1].entropy)


@pytest.mark.parametrize("read", [False, True])
def test_numbers_that_are_not_finite_end_the_run_before_it_is_decoded(device, read):
    setup = tiny.setup((0,))
    head = setup.backbone.head.bias
    steps, events = loop.run(setup), []
    kept = head.data.clone()
    try:
        events.append(next(steps))
        head.data[0] = torch.nan
        with pytest.raises(VarSpacesError, match=r"Scale 2 of .* is not a number"):
            for event in steps:
                events.append(event)
                assert not read or event.entropy != 0
    finally:
        head.data.copy_(kept)
    assert all(isinstance(event, ScaleDone) for event in events)
    assert len(events) == (2 if read else setup.schedule.num_scales)
