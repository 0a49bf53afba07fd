"""Requests of one kind share a batch, others wait their turn, and nobody waits for who is gone."""

from __future__ import annotations

from queue import Queue
from threading import Event

import pytest

from var_spaces import RunSpec
from var_spaces.decoding.loop.lane import Lane
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished, ScaleDone, Started
from var_spaces.serve import batcher as module
from var_spaces.serve.batcher import Batcher
from var_spaces.tasks.plan import plan
from var_spaces.tasks.prepare import Request
from var_spaces.zoo.residency import Residency

WINDOW = {"name": "sliding-window", "budget": 0.3}


def request(seed: int, count: int = 1, **changes) -> Request:
    spec = RunSpec(model="tiny-var", seed=seed, count=count, inputs={"class": seed % 3}, **changes)
    return Request(plan(spec))


class Gate:
    """Holds the first batch until all have joined the line, and keeps how batches were made."""

    def __init__(self, monkeypatch) -> None:
        self.open, self.entered, self.batches = Event(), Event(), []
        together = module.together

        def held(requests, *more):
            self.entered.set()
            assert self.open.wait(60)
            self.batches.append([one.plan.spec.seed for one in requests])
            yield from together(requests, *more)

        monkeypatch.setattr(module, "together", held)


@pytest.fixture
def gate(monkeypatch, use_tiny_models) -> Gate:
    return Gate(monkeypatch)


def submit(line: Batcher, asked: Request) -> tuple:
    told: Queue = Queue()
    return line.submit(asked, told.put), told


def heard(told: Queue) -> list:
    """Everything until the end."""
    found = []
    while (event := told.get(timeout=60)) is not None:
        found.append(event)
    return found


def test_batches(gate):
    line = Batcher(Residency(), most=4, pause=0)
    first = submit(line, request(0))  # taken at once, held at the gate
    assert gate.entered.wait(60)
    others = [
        submit(line, one)
        for one in (
            request(1), request(2, cache=WINDOW), request(3, 2), request(4, 9),
            request(5), request(6, cache=WINDOW), request(7),
        )
    ]  # fmt: skip
    gate.open.set()
    for number, (_, told) in enumerate([first, *others]):
        events = heard(told)
        assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
        assert events[-1].record.spec.seed == number
        scales = [event.scale for event in events if isinstance(event, ScaleDone)]
        assert scales == sorted(set(scales))
    # those of the first in the line that fit, in their order; too many images go alone
    assert gate.batches == [[0], [1, 3, 5], [2, 6], [4], [7]]
    line.close()
    assert not line.alive


def test_who_leaves_the_line_is_not_drawn(gate):
    line = Batcher(Residency(), most=1, pause=0)
    tickets = [submit(line, request(seed)) for seed in range(3)]
    tickets[1][0].leave()
    gate.open.set()
    ends = [heard(told) for _, told in tickets]
    assert isinstance(ends[0][-1], Finished) and isinstance(ends[2][-1], Finished)
    assert ends[1] == [] and [1] not in gate.batches
    line.close()


def test_what_goes_wrong_is_told_to_all_of_a_batch(gate, monkeypatch):
    """And the next batch is drawn."""
    line = Batcher(Residency(), most=2, pause=0)
    gate.open.set()
    advance = Lane.advance

    def broken(self, scale):
        if scale == 1:
            raise ZeroDivisionError
        return advance(self, scale)

    monkeypatch.setattr(Lane, "advance", broken)
    assert isinstance(heard(submit(line, request(1))[1])[-1], ZeroDivisionError)
    monkeypatch.setattr(Lane, "advance", advance)
    assert isinstance(heard(submit(line, request(2))[1])[-1], Finished)
    assert line.alive
    line.close()


def test_who_cannot_be_told_stops_nobody_else(gate, caplog):
    line = Batcher(Residency(), most=2, pause=0)
    gate.open.set()

    def deaf(word):
        raise RuntimeError("Event loop is closed")

    ticket = line.submit(request(1), deaf)
    assert isinstance(heard(submit(line, request(2))[1])[-1], Finished)
    assert ticket.gone and line.alive and "could not be told" in caplog.text
    line.close()


def test_an_engine_is_an_address(monkeypatch):
    from var_spaces.remote import address as engine

    for text in ("ray", "http://x:1", "ray://", "ray://host", "ray://host:1/x", "ray://a b:1"):
        monkeypatch.setenv("VAR_SPACES_ENGINE", text)
        with pytest.raises(VarSpacesError, match="give ray://HOST:PORT"):
            engine.address()
    for text, found in (
        ("ray://auto", "auto"),
        ("ray://10.0.0.1:6379", "10.0.0.1:6379"),
        ("", None),
    ):
        monkeypatch.setenv("VAR_SPACES_ENGINE", text)
        assert engine.address() == found


def test_no_ray_is_one_line(monkeypatch):
    """Whoever sets an engine without the package learns what to install."""
    import sys

    from var_spaces import api
    from var_spaces.errors import NotHere
    from var_spaces.remote import engine

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("VAR_SPACES_ENGINE", "ray://127.0.0.1:1")
    engine._engine.cache_clear()
    with pytest.raises(NotHere, match="pip install"):
        api.stream(model="var-small", class_=0)
