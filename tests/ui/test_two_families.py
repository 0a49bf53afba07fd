"""One tab for models of classes and models of prompts."""

from __future__ import annotations

import pytest

from tests.infinity import write_models
from tests.ui.models import write
from var_spaces.errors import VarSpacesError
from var_spaces.ui.compare import comparing
from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.form import Form
from var_spaces.ui.run import handlers
from var_spaces.zoo import places
from var_spaces.zoo.cards import get_card

FORM = Form("generate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_models(write(tmp_path_factory.mktemp("both")))


@pytest.fixture(autouse=True)
def both(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "EMBEDDED", tmp_path)
    monkeypatch.setenv("VAR_SPACES_MODELS", str(folder))


def filled(model: str, **changes) -> dict:
    return {**FORM.defaults(get_card(model)), **changes}


def test_the_list_holds_both_and_the_task_follows_the_model():
    assert list(fits.models("generate")) == ["tiny-styled", "tiny-var", "tiny-t2i"]
    assert FORM.spec(filled("tiny-var")).task == "generate"
    assert FORM.spec(filled("tiny-t2i")).task == "text-to-image"


def test_featured_models_stand_first(monkeypatch):
    known = fits.cards("generator")
    known["tiny-var"] = known["tiny-var"].model_copy(update={"featured": True})
    monkeypatch.setattr(fits, "cards", lambda role: known)
    assert list(fits.models("generate")) == ["tiny-var", "tiny-styled", "tiny-t2i"]
    assert next(iter(fits.models("edit"))) == "tiny-var"


def test_a_prompt_is_drawn_in_its_shape():
    changes = {"inputs.prompt": "two cats", "inputs.aspect": "2:1", "seed": "3"}
    *_, last = handlers.run(FORM, filled("tiny-t2i", **changes))
    assert last.phase == "done", last.message
    assert last.size[1] == 2 * last.size[0]
    assert last.spec.inputs["prompt"] == "two cats"


def test_a_fresh_form_asks_for_the_first_example():
    assert FORM.spec(filled("tiny-t2i")).inputs["prompt"]
    assert FORM.spec(filled("tiny-var")).inputs["class"] == "ant"


def test_inputs_of_the_other_family_are_hidden_and_left_out():
    controls = Controls(FORM)
    before = filled("tiny-styled")
    new = handlers.changed(FORM, "model", {**before, "model": "tiny-t2i"})
    shown = controls.updates(new)
    assert shown["inputs.class"] == shown["inputs.style"]
    assert shown["inputs.class"]["visible"] is False
    assert shown["inputs.prompt"]["visible"] is True
    assert "class" not in FORM.spec(new).inputs
    typed = {**before, "inputs.prompt": "", "model": "tiny-t2i"}  # as an empty box hands it on
    changed = handlers.changed(FORM, "model", typed)
    assert FORM.spec(changed).inputs["prompt"]


def test_columns_of_two_families_are_refused_by_name():
    shared = comparing.SHARED.defaults(get_card("tiny-var"))
    columns = [comparing.COLUMN.defaults(get_card(name)) for name in ("tiny-var", "tiny-t2i")]
    with pytest.raises(VarSpacesError, match="Column B: Model 'tiny-t2i' has no classes"):
        comparing.request(shared, columns)


@pytest.mark.parametrize("tab", ["generate", "edit"])
def test_every_model_of_a_tab_does_one_of_its_tasks(tab):
    for card in fits.models(tab).values():
        assert fits.tasks(tab, card)
    assert fits.tasks("edit", get_card("tiny-t2i")) == ["paint-prompt"]
