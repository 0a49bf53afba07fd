"""Forms: fields from classes, values to specs and back."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest

from var_spaces import RunSpec, methods
from var_spaces.errors import VarSpacesError
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.form import Form, applies, card_choices
from var_spaces.ui.form.values import KINDS, read
from var_spaces.zoo.cards import get_card

FORM = Form("generate")
pytestmark = pytest.mark.usefixtures("models")


def filled(**changes) -> dict:
    """Values of a fresh form, with some changed by key, or a method by its kind."""
    values = FORM.defaults(get_card("tiny-styled"))
    chosen = {kind: changes.pop(kind) for kind in KINDS if kind in changes}
    values["methods"] = {**values["methods"], **chosen}
    assert changes.keys() <= values.keys()
    return values | changes


def test_fields_are_those_of_the_classes():
    keys = set(FORM.keys)
    assert {"model", "inputs.class", "inputs.style", "seed", "count", "first", "methods"} <= keys
    assert len(keys) == len(FORM.keys)


def test_what_is_about_people_is_asked_of_models_that_draw_them():
    faces, published = FORM.field("inputs.faces"), get_card("infinity-2b")
    own = published.model_copy(update={"id": "own", "source": None})
    assert applies(faces, published, "text-to-image") and not applies(faces, own, "text-to-image")


def test_defaults_are_those_of_the_card():
    spec = FORM.spec(filled())
    assert spec.model == "tiny-styled"
    assert spec.inputs == {"class": "ant", "style": "soft"}
    assert (spec.sampling["top_k"], spec.sampling["top_p"]) == (20, 0.9)
    assert spec.guidance == {"name": "linear", "scale": 2.0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"inputs": {"class": "bee", "width": 24, "steps": 3}},
        {"seed": 2**63 - 1, "count": 64, "first": 10**9 - 63},
        {"inputs": {"class": "bee", "style": None}},
        {"inputs": {}},
        {"sampling": {"name": "top-k-top-p", "top_p": 0.12345, "smooth": True, "temperature": 0.7}},
        {"guidance": {"name": "per-scale", "scale": [1.5, 2.25, 3]}},
    ],
)
def test_values_bring_every_spec_back(changes):
    spec = RunSpec(model="tiny-styled", **changes)
    assert FORM.spec(FORM.values(spec)) == spec


def test_controls_give_numbers_as_text_or_float():
    sampling = {"name": "top-k-top-p", "top_k": 5.0}
    spec = FORM.spec(filled(seed=" 12 ", count=3.0, sampling=sampling))
    assert (spec.seed, spec.count, spec.sampling["top_k"]) == (12, 3, 5)


def test_parameters_of_another_method_are_refused():
    with pytest.raises(VarSpacesError, match="drafted"):
        FORM.spec(filled(cache={"name": "full", "drafted": 3}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "abc"}, "seed = 'abc' must be a whole number, 0 to 9223372036854775807."),
        ({"seed": "-1"}, "run spec: seed = -1 is out of range: allowed is 0 to 92233720368547"),
        ({"seed": "1.5"}, "seed = '1.5' must be a whole number, 0 to 9223372036854775807."),
        ({"count": 0}, "run spec: count = 0 is out of range: allowed is 1 to 64."),
        ({"count": 2.5}, "n = 2.5 must be a whole number, 1 to 64."),
        ({"cache": {"name": "ful"}}, "Unknown cache 'ful'. Did you mean 'full'?"),
    ],
)
def test_refusals_are_one_clear_line(change, message):
    with pytest.raises(VarSpacesError) as error:
        FORM.spec(filled(**change))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_another_model_keeps_what_it_knows():
    keep = FORM.defaults(get_card("tiny-styled"))
    keep |= {"inputs.class": "cat", "inputs.style": "flat", "seed": "9", "count": 2}
    keep["methods"]["sampling"]["top_k"] = 1
    spec = FORM.spec(FORM.defaults(get_card("tiny-var"), keep))
    assert spec.inputs == {"class": "cat", "style": None}
    assert (spec.model, spec.seed, spec.count) == ("tiny-var", 9, 2)
    assert spec.sampling["top_k"] == 20


def test_what_stands_there_is_not_told_again():
    standing = FORM.defaults(get_card("tiny-styled"))
    standing |= {"inputs.class": "cat", "inputs.style": "flat", "model": "tiny-var", "count": 2}
    values = FORM.defaults(get_card("tiny-var"), standing)
    told = Controls(FORM).updates(values, standing)
    assert all("value" not in told[key] for key in ("model", "inputs.class", "count"))
    assert told["inputs.class"]["choices"]
    assert told["inputs.style"]["value"] == ""  # this model has none
    assert told["methods"]["sampling"]["top_k"] == 20
    assert Controls(FORM).updates(values)["inputs.class"]["value"] == "cat"
    assert Controls(FORM).updates(values, {"inputs.class": np.zeros((2, 2))})["inputs.class"][
        "value"
    ]


def test_choices_are_the_names_of_the_card():
    by_key = {field.key: field for field in FORM.fields}
    card = get_card("tiny-styled")
    assert card_choices(card, by_key["inputs.style"]) == ("soft", "flat")
    assert card_choices(card, by_key["inputs.class"]) == card.classes
    assert card_choices(card, by_key["seed"]) == ()


def test_lists_travel_as_text():
    cls = methods.get("guidance", "per-scale")
    option = next(o for o in methods.cli_options(cls) if o.field == "scale")
    assert read(" 1.5, 2 ", option) == [1.5, 2.0]
    assert read("", option) is None


def test_a_number_that_may_be_left_out_travels_as_text():
    """The page hands on an empty number as 0."""
    by_key = {field.key: field for field in FORM.fields}
    control = Controls(FORM).make(by_key["inputs.width"], None, None, None)
    assert isinstance(control, gr.Textbox)
    size = {"inputs.width": " 24 ", "inputs.height": "", "inputs.steps": None}
    inputs = FORM.spec(filled(**size)).inputs
    assert inputs["width"] == 24 and not {"height", "steps"} & inputs.keys()


def test_what_the_page_hides_does_not_reach_the_run():
    """A size that was typed for a model of any size, before one of a fixed size was chosen."""
    values = filled(**{"inputs.width": "24", "inputs.class": "cat"})
    assert FORM.request(values)[0].inputs["width"] == 24  # a program is told that it is refused
    assert FORM.spec(FORM.shown(values)).inputs == {"class": "cat", "style": "soft"}
    part = Form("generate", ("input",))
    known = {"model": "tiny-styled", "task": "generate"}
    hidden = part.shown(dict.fromkeys(part.keys, "24"), **known)
    assert (hidden["inputs.width"], hidden["inputs.class"]) == (None, "24")


def test_what_was_painted_matters_only_to_tasks_that_ask_for_a_region():
    form = Form("edit")
    layer = np.zeros((8, 8, 4), np.uint8)
    layer[2:5, 2:5] = 255
    painted = {"background": np.zeros((8, 8, 4), np.uint8), "layers": [layer]}
    values = form.defaults(get_card("tiny-styled"))
    for task, inputs in (("edit", {"source", "mask"}), ("refine", {"source"})):
        asked = {**values, "task": task, "inputs.source": painted}
        spec, pictures = form.request(asked)
        assert inputs <= spec.inputs.keys() and len(pictures) == len(inputs)
