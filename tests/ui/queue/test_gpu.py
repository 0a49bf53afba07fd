"""Runs on a borrowed GPU: the decorator, and that what crosses processes can be pickled."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace

import pytest

from var_spaces import RunSpec
from var_spaces.ui.form.form import Form
from var_spaces.ui.queue.gpu import REFUSED, most, on_gpu, seconds
from var_spaces.ui.run import handlers
from var_spaces.zoo import duration
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.duration import gpu_seconds
from var_spaces.zoo.places import personal, personal_folders


def test_elsewhere_functions_stay_as_they_are(monkeypatch):
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    assert on_gpu(handlers.run) is handlers.run


@pytest.fixture
def asked(monkeypatch) -> list:
    """The durations that are asked for, in a Space that lends GPUs."""
    durations = []

    def gpu(duration):
        durations.append(duration)
        return lambda function: function

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    return durations


def spec(**changes) -> RunSpec:
    return RunSpec(model="tiny-styled", inputs={"class": "cat"}).replace(**changes)


@pytest.mark.usefixtures("models")
def test_in_a_space_just_enough_time_is_asked_for(asked):
    on_gpu(handlers.run, handlers._specs)
    (duration,) = asked
    form = Form("generate")
    one, many = (duration((), form, form.values(spec(count=count))) for count in (1, 64))
    assert REFUSED < one < many < most()
    assert duration((), form, form.values(spec(inputs={"class": "no such class"}))) == REFUSED


@pytest.mark.usefixtures("models")
def test_rows_are_those_of_the_model_with_most(monkeypatch):
    """A refiner with guidance of its own in a run without."""
    rows = []
    monkeypatch.setattr(duration, "gpu_seconds", lambda *asked: rows.append(asked[2]) or 1)
    pair = {"name": "collaborative", "refiner": "tiny-styled", "drafted": 1}
    off = spec(guidance={"name": "linear", "scale": 0}, decoding=pair)
    assert seconds([off, off.replace(decoding={**pair, "refiner_guidance": [2]})]) == 2
    assert rows == [1, 2]


def test_what_is_not_estimated_asks_for_the_longest_time(asked, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MAX_RUN_SECONDS", "77")
    on_gpu(handlers.run)
    assert asked[0](()) == 77
    on_gpu(handlers.run, longest=lambda: 99)
    assert asked[1](()) == 99


def test_models_of_the_visitor_are_known_there_too(asked, tmp_path):
    """The other process is told for whom it works."""
    whole, piecewise = on_gpu(lambda: personal_folders()), on_gpu(_folders)
    with personal([tmp_path]):
        assert whole() == (tmp_path,)
        steps = piecewise()
    assert list(steps) == [(tmp_path,)] * 2
    assert whole() == ()


def _folders():
    yield personal_folders()
    yield personal_folders()


@pytest.mark.usefixtures("models")
def test_nobody_asks_for_more_than_is_allowed(monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MAX_RUN_SECONDS", "6")
    assert seconds([spec(count=64)]) == 6
    assert seconds([spec()] * 3) == 6


def test_large_models_ask_for_more():
    """By their cards alone; no weight is needed."""
    found = {}
    for name in ("infinity-125m", "infinity-2b"):
        card = get_card(name)
        found[name] = [gpu_seconds(card, card.schedule, rows, 1) for rows in (1, 2)]
    times = [*found["infinity-125m"], *found["infinity-2b"]]
    assert times == sorted(times)
    assert times[0] < 15
    assert times[-1] < 60


@pytest.mark.usefixtures("models")
def test_forms_and_views_survive_pickling():
    form = pickle.loads(pickle.dumps(Form("generate")))
    values = form.values(RunSpec(model="tiny-styled", inputs={"class": "cat"}))
    for view in handlers.run(form, values):
        copy = pickle.loads(pickle.dumps(view))
        assert (copy.phase, copy.spec, copy.record) == (view.phase, view.spec, view.record)
        assert copy.pictures == view.pictures
