"""The Control tab: it is there when a model can do it, and takes a picture or a map."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.controls import write_control
from tests.infinity import write_models
from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.pictures import digest
from var_spaces.tasks.plan import plan
from var_spaces.ui.compare import grid
from var_spaces.ui.form import fits
from var_spaces.ui.form.form import Form
from var_spaces.ui.run import handlers
from var_spaces.ui.run.control_view import plan_prompts
from var_spaces.ui.run.handlers import before
from var_spaces.ui.run.pixels import preview
from var_spaces.zoo.cards import get_card

PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def _controls(models, page_models, tmp_path_factory, monkeypatch):
    folder = write_models(tmp_path_factory.mktemp("controls"))
    monkeypatch.setenv("VAR_SPACES_MODELS", os.pathsep.join(map(str, (page_models, folder))))
    write_control(folder / "tiny-control")


def request(**given):
    form = Form("control")
    values = form.defaults(get_card("tiny-control"))
    values |= {"inputs.source": None, "inputs.map": None}  # as empty controls are
    values |= {f"inputs.{name}": value for name, value in given.items()}
    return form.request(values)


def test_models_with_control_alone_are_offered():
    assert list(fits.models("control")) == ["tiny-control"]
    assert fits.tasks("control", get_card("tiny-control")) == ["control"]
    assert "tiny-control" not in fits.models("generate")


@pytest.mark.parametrize("field", ["source", "map"])
def test_a_picture_or_a_map(field):
    spec, pictures = request(**{field: PICTURE, "prompt": "a castle", "strength": 0.5})
    assert (spec.task, spec.inputs["strength"]) == ("control", 0.5)
    assert list(pictures) == [digest(PICTURE)] == [spec.inputs[field]]
    assert plan(spec).card.id == "tiny-control"


@pytest.mark.parametrize("given", [{}, {"source": PICTURE, "map": PICTURE}])
def test_one_of_them_is_needed(given):
    with pytest.raises(VarSpacesError, match=r"^There (is no|are both a) picture"):
        plan(request(**given)[0])


@pytest.mark.parametrize("field", ["source", "map"])
def test_the_map_stands_beside_the_result(field):
    """As the model sees it, whichever way it came: a slider goes from it to the picture."""
    lines = np.zeros((8, 8, 3), np.uint8)
    lines[:, 3] = 255
    spec, pictures = request(**{field: lines, "control": "canny"})
    planned = plan(spec)
    kind = methods.parse("control", "canny")
    found = kind.read(lines) if field == "map" else kind.extract(lines)
    assert before(planned, pictures) == preview(kind.as_picture(found))
    assert before(planned, {}) == ""


def test_a_map_is_drawn_by_hand():
    """What is drawn is white on black for lines, and keeps its colours for a palette."""
    stroke = np.zeros((8, 8, 4), np.uint8)
    stroke[:, 3] = (200, 0, 0, 255)
    for kind, line, ground in (("canny", (255,) * 3, 0), ("palette", (200, 0, 0), 255)):
        for empty in (None, np.zeros((8, 8, 4), np.uint8)):
            held = {"background": empty, "layers": [stroke], "composite": None}
            spec, pictures = request(map=held, control=kind)
            (found,) = pictures.values()
            assert tuple(found[0, 3]) == line and (found[:, 4] == ground).all()
            assert spec.inputs["map"] == digest(found)
    with pytest.raises(VarSpacesError, match=r"^There (is no|are both a) picture"):
        plan(request(map={"background": None, "layers": [stroke * 0], "composite": None})[0])


def test_many_prompts_along_one_map():
    form = Form("control")
    values = form.defaults(get_card("tiny-control"))
    values |= {"inputs.source": PICTURE, "inputs.map": None}
    table = plan_prompts(form, "a castle\n\n a house ", values)
    assert [spec.inputs["prompt"] for spec in table.rows[0]] == ["a castle", "a house"]
    *_, done = grid.run(table)
    assert len(done.done) == 2
    for prompts in ("", "\n".join("abcdefghi")):
        with pytest.raises(VarSpacesError, match="1 to 8 prompts"):
            plan_prompts(form, prompts, values)


def test_examples_start_from_pictures_that_come_along():
    values = handlers.example(Form("control"), 0, "tiny-control", "control")
    assert values["inputs.source"].shape == (256, 256, 3)
    assert values["inputs.control"] == "canny" and values["inputs.prompt"]
