"""Edits step by step: the chain, undo and branches, what changed, and the run that came before."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.infinity import write_models
from tests.varedit import write_editor
from var_spaces.tasks.plan import plan
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.handed import Handed
from var_spaces.ui.run import handlers, tab
from var_spaces.ui.run.steps import MOST, Steps, changes, strip
from var_spaces.ui.run.steps_view import StepsView
from var_spaces.zoo.cards import get_card

FORM = Form("edit")
PICTURE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)


@pytest.fixture
def editors(models, page_models, tmp_path_factory, monkeypatch):
    folder = write_editor(tmp_path_factory.mktemp("editors"))
    monkeypatch.setenv("VAR_SPACES_MODELS", os.pathsep.join(map(str, (page_models, folder))))


def values(model: str, **inputs) -> dict:
    found = FORM.defaults(get_card(model))
    return found | {f"inputs.{key}": value for key, value in inputs.items()}


def picture(number: int) -> np.ndarray:
    return np.full((4, 4, 3), number, np.uint8)


def test_a_chain_with_a_branch():
    steps = Steps().grown(picture(0), picture(1), "make it blue", "run1")
    steps = steps.grown(picture(1), picture(2), "remove <b>", "run2")
    assert [step.parent for step in steps.steps] == [-1, 0, 1]
    assert (steps.at, steps.undone().at, steps.undone().undone().undone().at) == (2, 1, 0)
    assert (steps.can_undo, steps.to(0).can_undo, steps.to(9).at) == (True, False, 2)
    branch = steps.undone().grown(picture(1), picture(3), "make it red", "run3")
    assert branch.steps[branch.at].parent == 1
    assert branch.drawn_by(picture(1)) == "run1" and branch.drawn_by(picture(0)) == ""
    shown = strip(branch)
    assert (
        shown.count("<img") == 4
        and "from 2" in shown
        and "<b>" not in strip(steps)[300:].split("remove ", 1)[1].split("&gt;")[0]
    )
    assert strip(Steps()) == ""


def test_the_oldest_steps_go_when_there_are_too_many():
    steps = Steps()
    for number in range(MOST + 9):
        steps = steps.grown(picture(number), picture(number + 1), f"edit {number}", f"run{number}")
        kept = min(MOST, number + 2)  # with the picture that was handed in
        assert [step.image[0, 0, 0] for step in steps.steps] == list(range(number + 2))[-kept:]
        assert [step.parent for step in steps.steps] == list(range(-1, kept - 1))
        assert steps.at == kept - 1 and steps.undone().at == kept - 2
    first = steps.steps[0].image
    branch = steps.to(0).grown(first, picture(200), "again", "other")
    assert len(branch.steps) == MOST and branch.undone().at == 0
    assert branch.steps[0].image is first  # it is the source of the new one, so the next one goes
    assert [step.parent for step in branch.steps] == [-1, -1, *range(1, MOST - 2), 0]
    other = branch.grown(picture(90), picture(91), "something else", "third")
    assert [step.label for step in other.steps[-2:]] == ["your picture", "something else"]
    assert len(other.steps) == MOST and other.undone().at == MOST - 2


def test_what_changed_and_what_should_not_have():
    after = PICTURE.copy()
    after[:, :6] = 255 - after[:, :6]
    kept = np.zeros(after.shape[:2], bool)
    kept[:, 6:] = True
    assert "which was to stay: equal in every pixel" in changes(PICTURE, after, kept)
    after[0, 11] ^= 255
    told = changes(PICTURE, after, kept)
    assert "PSNR" in told and "1 pixel visibly other" in told
    assert "What looks as before: equal in every pixel" in changes(PICTURE, PICTURE)
    assert "0% of the picture" in changes(PICTURE, PICTURE)
    assert changes(PICTURE, PICTURE[:4]) == ""


def test_a_step_names_the_run_before(editors):
    given = values("tiny-edit", source=PICTURE, instruction="make it blue")
    *_, first = handlers.run(FORM, given)
    assert first.phase == "done", first.message
    assert first.images[0].shape == PICTURE.shape
    steps = Steps().grown(PICTURE, first.images[0], "make it blue", first.spec.id)
    again = values("tiny-edit", source=first.images[0], instruction="remove the dog")
    view = StepsView.__new__(StepsView)
    view.form = FORM
    assert view.origin(steps, given) == ""
    after = view.origin(steps, again)
    assert after == first.spec.id
    *_, second = handlers.run(FORM, again, after)
    assert second.spec.inputs["after"] == first.spec.id
    state, *_, handed, told = view.grown(steps, again, second)
    assert [step.parent for step in state.steps] == [-1, 0, 1]
    assert np.array_equal(handed["background"][::42, ::42][:8, :12], second.images[0])
    assert "What changed" in told["value"]


def test_models_of_prompts_paint_a_region_too(models, page_models, tmp_path, monkeypatch):
    folder = write_models(tmp_path)
    monkeypatch.setenv("VAR_SPACES_MODELS", os.pathsep.join(map(str, (page_models, folder))))
    given = values("tiny-t2i", source=PICTURE[:, :8], prompt="a cat", rectangle="0, 0, 0.5, 1")
    spec, pictures = FORM.request(given)
    assert spec.task == "paint-prompt"
    task = plan(spec).task
    kept = task.kept(8, 8, task.read_pictures(pictures))
    assert kept[4:].all() and not kept[:4].any()
    *_, done = handlers.run(FORM, given)
    assert done.phase == "done", done.message
    *_, other = handlers.run(
        FORM, values("tiny-t2i", source=PICTURE[:, :8], prompt="a dog", rectangle="0, 0, 0.5, 1")
    )
    assert not np.array_equal(done.images[0][:3], other.images[0][:3])


def test_pictures_of_a_run_are_known_without_being_looked_at_twice(editors, monkeypatch):
    """Their hashes take time, and a form can have changed when the drawing ends."""
    looked, held, real = [], Handed(), Form.handed

    def handed(form, given):
        looked.append(given)
        return real(form, given)

    monkeypatch.setattr(Form, "handed", handed)
    monkeypatch.setattr(tab, "HANDED", held)
    monkeypatch.setattr(tab, "session", lambda: "mine")
    *_, last = tab._draw(FORM, **values("tiny-edit", source=PICTURE, instruction="make it blue"))
    assert last and len(looked) == 1
    (kept,) = held.of("mine").values()
    assert np.array_equal(kept, PICTURE)


def test_of_equal_pictures_the_latest_step_counts():
    """An edit that was taken back by another one gives the first picture again."""
    steps = Steps().grown(picture(0), picture(1), "make it blue", "run1")
    steps = steps.grown(picture(1), picture(0), "make it red again", "run2")
    assert steps.drawn_by(picture(0)) == "run2"
    steps = steps.grown(picture(0), picture(2), "remove it", "run3")
    assert [step.parent for step in steps.steps] == [-1, 0, 1, 2]
