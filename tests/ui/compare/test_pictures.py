"""Tasks that start from a picture, side by side: it is handed in once, and all columns use it."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from urllib.parse import parse_qs

import gradio as gr
import numpy as np
import pytest

from tests.controls import write_control
from tests.varedit import write_editor
from var_spaces import RunSpec, api, methods
from var_spaces.compare.battle import contestants, next_battle
from var_spaces.compare.interleave import LETTERS
from var_spaces.errors import VarSpacesError
from var_spaces.pictures import digest
from var_spaces.ui import tabs
from var_spaces.ui.compare import battle, comparing, grid
from var_spaces.ui.compare import tab as compare
from var_spaces.ui.compare.comparing import COLUMN, SHARED, WHOLE
from var_spaces.ui.form import fits
from var_spaces.ui.form.pictures import KEPT
from var_spaces.ui.lazy import LazyRuns, runs_of
from var_spaces.ui.run import handlers, links
from var_spaces.ui.run.recall import recall
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.manifest import build
from var_spaces.zoo.writer import save_model

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
ASKED = {  # task: model that does it, what is asked for
    "edit": ("tiny-styled", {"inputs.source": PICTURE, "inputs.rectangle": "0, 0.5, 1, 1"}),
    "refine": ("tiny-styled", {"inputs.source": PICTURE, "inputs.keep": 2}),
    "instruct": ("tiny-edit", {"inputs.source": PICTURE, "inputs.instruction": "make it blue"}),
    "paint-prompt": ("tiny-t2i", {"inputs.source": PICTURE, "inputs.rectangle": "0, 0, 1, 0.5"}),
    "subject": ("tiny-echo", {"inputs.subject.source": PICTURE, "inputs.prompt": "a <it>"}),
    "control": ("tiny-control", {"inputs.control.source": PICTURE, "inputs.prompt": "a castle"}),
}


@pytest.fixture(autouse=True, scope="module")
def _models(only_tiny_models, page_models, tmp_path_factory):
    folder = write_editor(tmp_path_factory.mktemp("pictures"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", os.pathsep.join(map(str, (page_models, folder))))
        write_control(folder / "tiny-control")
        write_echo(folder / "tiny-echo")
        yield


def write_echo(folder: Path) -> None:
    """An adapter of ``tiny-t2i`` that takes a subject in, with random weights."""
    sizes = {"side": 8, "semantic_dim": 768, "semantic_tokens": 17}
    shown = {"name": "echo", **sizes, "content_dim": 6, "content_tokens": 16}
    adapter = methods.parse("adapter", shown)
    module = adapter.build(build(get_card("tiny-t2i")).config)
    card = {"format": 1, "id": folder.name, "title": "Tiny echo", "base": "tiny-t2i"}
    card |= {"adapter": methods.dump(adapter), "defaults": {"task": {"name": "subject"}}}
    save_model(folder, card, module.state_dict(), dtype=None)


def filled(task: str) -> tuple[dict, list[dict]]:
    """What two columns share, and their own: the second keeps less of its cache."""
    model, changes = ASKED[task]
    card = get_card(model)
    common = SHARED.defaults(card, keep={"task": task})
    common |= {field.key: None for field in SHARED.fields if field.is_picture}  # as empty ones are
    own = COLUMN.defaults(card)
    less = {**own["methods"], "cache": {"name": "streaming-llm", "budget": 0.5}}
    return common | changes, [own, {**own, "methods": less}]


def handed(common: dict, each: list[dict]) -> dict:
    """Values of all controls as events hand them over; only two columns are shown."""
    shown = zip(LETTERS, [*each, *each], strict=True)
    return common | {f"{n}.{key}": value for n, own in shown for key, value in own.items()}


def test_every_task_of_the_page_can_be_compared():
    assert set(SHARED.tasks) == {task for tab in tabs.names() for task in tabs.tasks(tab)}
    assert {"tiny-var", "tiny-t2i", "tiny-edit", "tiny-control"} <= fits.models(tabs.COMPARE).keys()
    assert next(iter(fits.models(tabs.COMPARE))) == next(iter(fits.models("generate")))


@pytest.mark.parametrize("task", ASKED)
def test_all_columns_use_the_picture_and_each_is_the_run_alone(task):
    specs, pictures = comparing.request(*filled(task))
    assert list(pictures) == [digest(PICTURE)]
    assert all(spec.task == task and digest(PICTURE) in spec.inputs.values() for spec in specs)
    *_, board = comparing.run(specs, pictures)
    assert board.phase == "done", board.message
    for spec, view in zip(specs, board.views, strict=True):
        *_, alone = api.stream(spec, previews=False, images=pictures)
        assert view.record.image_sha256 == alone.record.image_sha256
    assert len(board.pairs) == 1


@pytest.mark.parametrize("task", ASKED)
def test_presets_are_offered_before_there_is_a_picture(task):
    card = get_card(ASKED[task][0])
    with gr.Blocks():
        shared = compare.Shared(card, task)
    assert len(shared.preset.choices) > 1
    assert grid.paths(WHOLE.plain(card, task))


@pytest.mark.parametrize("task", ASKED)
def test_pictures_that_are_known_are_back_with_a_run(task):
    """So what is asked for again is the same run; with a painted region, too."""
    common, each = filled(task)
    (field,) = (f for f in SHARED.fields if common[f.key] is PICTURE)
    if task in field.mask_tasks:
        layer = np.zeros((16, 16, 4), np.uint8)
        layer[:8] = 255
        common |= {field.key: {"background": PICTURE, "layers": [layer]}, "inputs.rectangle": ""}
    specs, pictures = comparing.request(common, each)
    assert len(pictures) == 1 + (task in field.mask_tasks)
    again = SHARED.values(specs[0], pictures)
    assert again[field.key] is not KEPT
    others = {f.key: None for f in SHARED.fields if f.is_picture and f is not field}
    assert comparing.request({**again, **others}, each)[0] == specs
    assert SHARED.values(specs[0])[field.key] is KEPT


@pytest.mark.parametrize("task", ASKED)
def test_battles_take_pictures(task):
    common, (own, _) = filled(task)
    asked = {key: (common | own)[key] for key in battle.ASKED.keys}
    base, pictures = battle.question_run(asked, 5)
    assert list(pictures) == [digest(PICTURE)]
    judged = [name for name in contestants(base) if "best of 4" in name]
    assert bool(judged) == (task in ("instruct", "subject", "control"))  # here with words
    duel = next_battle(base, [], Random(2))
    assert duel.a.startswith(f"{base.model} ({task}), ")  # other votes than those on words alone
    *_, board = comparing.run(duel.runs, pictures)
    assert board.phase == "done", board.message
    assert all(run.inputs == base.inputs and run.seed == 5 for run in duel.runs)


def test_the_tab_is_there_for_every_model():
    """Also for those that nothing is generated with from words alone."""
    for model in {model for model, _ in ASKED.values()}:
        with gr.Blocks():
            battle.build_battle(get_card(model))
            grid.build_grid(get_card(model))


def test_a_missing_picture_is_refused_in_one_line():
    common, each = filled("refine")
    common["inputs.source"] = None
    with pytest.raises(VarSpacesError, match=r"^There is no picture yet: hand one in\.$"):
        comparing.request(common, each)
    drawing = compare._draw(2, **handed(common, each))
    assert "There is no picture yet" in next(drawing)[0]
    with pytest.raises(gr.Error, match="There is no picture yet"):
        next(drawing)


def test_a_link_holds_the_hash_and_says_that_the_picture_must_come_again():
    specs, pictures = comparing.request(*filled("edit"))
    (parameter,) = parse_qs(links.link(*specs).lstrip("?"))["run"]
    with gr.Blocks(), gr.Tabs():
        place = LazyRuns("compare", "Compare", lambda _: None, check=compare.filled)
    wanted, _ = recall({"compare": place}, parameter)
    assert runs_of(wanted) == specs
    with gr.Blocks() as page:
        compare.build_compare(specs)
    said = [str(c["props"].get("value")) for c in page.get_config_file()["components"]]
    assert any("hand it in again" in text for text in said)
    common, each = compare.filled(specs)
    common["inputs.source"] = PICTURE  # the same again: the same runs
    again, found = comparing.request(common, each)
    assert again == specs and found.keys() == pictures.keys()
    one, other = compare.beside(specs[0])  # as a run is sent here from its tab
    assert one == specs[0] and other.inputs == one.inputs
    with pytest.raises(VarSpacesError, match="differ in more than models and methods"):
        compare.filled([specs[0], specs[1].replace(seed=8)])


def test_tasks_without_a_tab_are_refused():
    bits = {"name": "bits"}
    spec = RunSpec(model="tiny-t2i", task="style", inputs={"prompt": "a cat"}, sampling=bits)
    with pytest.raises(VarSpacesError, match="no tab for the task 'style'"):
        handlers.accept(tabs.COMPARE, spec)


def test_columns_follow_the_task_if_their_model_cannot_do_it():
    common, each = filled("refine")
    with gr.Blocks():
        shared = compare.Shared(get_card("tiny-styled"), "refine")
        columns = [compare.Column(n, get_card("tiny-styled"), "refine") for n in range(4)]
    each[0]["model"] = "tiny-control"
    updates = compare._change_asked(shared, columns, True, **handed(common, each))
    assert updates[shared.preset]["value"] == compare.NONE
    assert updates[shared.component("task")]["value"] == "control"
    assert updates[shared.component("inputs.source")]["visible"] is False
    picture = shared.component("inputs.control.source")
    assert updates[picture] == {"visible": True, "__type__": "update"}
    first, *others = [updates[column.component("model")] for column in columns]
    assert "value" not in first  # it stands there; the visitor may have chosen again meanwhile
    assert others[0]["value"] == "tiny-control"


def test_a_grid_starts_from_a_picture():
    common, (own, _) = filled("refine")
    table = grid.plan_grid(common | own, ("seed", "1, 2"))
    assert list(table.pictures) == [digest(PICTURE)]
    *_, done = grid.run(table)
    assert len({picture for picture, _, _ in done.done}) == 2
