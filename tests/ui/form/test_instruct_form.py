"""The Edit tab where a model edits by instruction: it comes first, and asks what to change."""

from __future__ import annotations

import os

import numpy as np
import pytest

from leaderboard.suites.base import get_suite
from tests.varedit import write_editor
from var_spaces.pictures import digest
from var_spaces.tasks.plan import plan
from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.form import Form
from var_spaces.ui.words import LIMITS
from var_spaces.zoo.cards import get_card

PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def _editors(models, page_models, tmp_path_factory, monkeypatch):
    folder = write_editor(tmp_path_factory.mktemp("editors"))
    monkeypatch.setenv("VAR_SPACES_MODELS", os.pathsep.join(map(str, (page_models, folder))))


def test_editors_come_first():
    found = list(fits.models("edit"))
    assert found[:3] == ["tiny-edit", "tiny-finest", "tiny-published"]
    assert found[3:] == ["tiny-styled", "tiny-t2i", "tiny-var"]  # painting a region stays beside it
    assert fits.tasks("edit", get_card("tiny-edit")) == ["instruct"]
    assert "instruct" not in fits.tasks("edit", get_card("tiny-var"))
    assert "tiny-edit" not in fits.models("generate")


def test_the_form_says_what_to_change():
    form = Form("edit")
    assert "inputs.after" not in form.keys  # a step fills it in, nobody types it
    values = form.defaults(get_card("tiny-edit"))
    values["inputs.source"], values["inputs.instruction"] = PICTURE, "make it blue"
    spec, pictures = form.request(values)
    assert (spec.task, spec.inputs["instruction"]) == ("instruct", "make it blue")
    assert list(pictures) == [digest(PICTURE)] == [spec.inputs["source"]]
    assert plan(spec).card.id == "tiny-edit"


def test_a_model_says_what_it_cannot_do(monkeypatch):
    form, card = Form("edit"), get_card("tiny-edit")
    field = form.field("inputs.instruction")
    made = Controls(form).make(field, card, "instruct", "")
    assert not made.info  # nobody measured this one
    monkeypatch.setitem(LIMITS[field.key].by_model, card.id, "It does little.")
    said = "It does little. [Its numbers](?tab=leaderboard&protocol=embedded-instruct)"
    assert Controls(form).make(field, card, "instruct", "").info == said
    update = Controls(form).updates(form.defaults(card))[field.key]
    assert (update["info"], update["visible"]) == (said, True)


def test_numbers_of_limits_are_on_the_leaderboard():
    for key, known in LIMITS.items():
        assert key.removeprefix("inputs.") in get_suite(known.suite).items()[0].inputs
