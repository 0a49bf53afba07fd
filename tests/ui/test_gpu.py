"""Runs on a borrowed GPU: the decorator, and that what crosses processes can be pickled."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace

import pytest

from var_spaces import RunSpec
from var_spaces.ui import handlers
from var_spaces.ui.form import Form
from var_spaces.ui.gpu import MAX_SECONDS, on_gpu


def test_elsewhere_functions_stay_as_they_are(monkeypatch):
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    assert on_gpu(handlers.run) is handlers.run


def test_in_a_space_the_gpu_is_asked_for(monkeypatch):
    asked = []

    def gpu(**options):
        asked.append(options)
        return lambda function: function

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    assert on_gpu(handlers.run) is handlers.run
    assert asked == [{"duration": MAX_SECONDS}]


@pytest.mark.usefixtures("models")
def test_forms_and_views_survive_pickling():
    form = pickle.loads(pickle.dumps(Form("generate")))
    values = form.values(RunSpec(model="tiny-styled", inputs={"class": "cat"}))
    for view in handlers.run(form, values):
        copy = pickle.loads(pickle.dumps(view))
        assert (copy.phase, copy.spec, copy.record) == (view.phase, view.spec, view.record)
        assert copy.pictures == view.pictures
