"""Suites are frozen; the rules of GenEval and DPG-Bench; data that must be downloaded."""

from __future__ import annotations

import json

import pytest

from leaderboard.item import Item
from leaderboard.metrics.composition import Composition
from leaderboard.metrics.dpg import share_of_yes
from leaderboard.metrics.geneval import Detected, GenEval, reasons, relations
from leaderboard.suites.base import get_suite
from leaderboard.suites.dpg import read_questions
from var_spaces import methods
from var_spaces.errors import VarSpacesError

# A suite that changes needs a new version, and so a new line here.
FROZEN = {
    ("cost", 1): "19654d1f",
    ("embedded-class", 2): "45670459",
    ("embedded-spread", 2): "21bec693",
    ("embedded-control", 2): "3d34e36f",
    ("embedded-edit", 1): "ea785b3a",
    ("embedded-instruct", 2): "e7e43f8b",
    ("embedded-style", 2): "7fa7d482",
    ("embedded-subject", 3): "2440ff97",
    ("embedded-text", 2): "9e96098f",
    ("fidelity", 1): "3d9a82e3",
    ("fidelity-text", 2): "c01c369d",
    ("imagenet-5k", 3): "9412811c",
    ("imagenet-256", 2): "5e7a8d1c",
    ("smoke", 1): "d93384ce",
}


@pytest.mark.parametrize(("name", "version"), FROZEN)
def test_suites_are_frozen(name, version):
    suite = get_suite(name)
    assert suite.protocol == f"{name} v{version} {FROZEN[name, version]}"


@pytest.mark.parametrize("name", methods.names("suite"))
def test_every_suite_can_be_drawn(name):
    suite = get_suite(name)
    try:
        items = suite.items()
    except VarSpacesError as error:
        assert suite.downloads, error
        assert "download it from" in str(error)
        return
    assert [item.index for item in items] == list(range(len(items)))
    batches = suite.batches(8)
    assert [item for batch in batches for item in batch] == list(items)
    for batch in batches:
        assert len({json.dumps(dict(item.inputs), sort_keys=True) for item in batch}) == 1
    for metric in suite.metrics():
        assert all(set(metric.facts) <= set(item.facts) for item in items), metric.name
        assert suite.against_full or not metric.compares
        assert suite.reference() is not None or not metric.needs_reference
    keys = [(metric.name, str(metric)) for metric in suite.metrics()]
    assert len(set(keys)) == len(keys)


# --- GenEval --------------------------------------------------------------------------------------


def box(x: float, y: float, side: float = 10) -> tuple[float, float, float, float]:
    return (x, y, x + side, y + side)


def test_relations():
    assert relations(box(0, 50), box(100, 50)) == {"left of"}
    assert relations(box(100, 50), box(0, 50)) == {"right of"}
    assert relations(box(0, 0), box(0, 100)) == {"above"}
    assert relations(box(0, 100), box(0, 0)) == {"below"}
    assert relations(box(0, 0), box(90, 100)) == {"left of", "above"}
    assert relations(box(0, 0), box(2, 0)) == set()  # within the margin of a tenth of both sizes
    assert relations(box(0, 0), box(0, 0)) == set()


def test_relations_leave_a_tenth_of_both_sizes_and_ask_for_half_of_the_way():
    """As published. A box of 10 beside one of 30: 4 of the way are taken off."""
    small, large = box(0, 0), lambda centre: box(centre - 15, -10, 30)
    assert relations(small, large(5 + 4)) == set()
    assert relations(small, large(5 + 7)) == set()  # 3 of 7 are left
    assert relations(small, large(5 + 9)) == {"left of"}  # 5 of 9 are
    assert relations(large(5 + 9), small) == {"right of"}


def found(*objects):
    return [Detected(name, at, colour) for name, at, colour in objects]


def test_geneval_clauses():
    dog, cat = ("dog", box(0, 0), "black"), ("cat", box(100, 0), "white")
    two = {"include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1}]}
    assert reasons(found(dog, cat), two) == []
    assert reasons(found(dog), two) == ["1 cat expected, 0 found"]
    count = {
        "include": [{"class": "dog", "count": 2}],
        "exclude": [{"class": "dog", "count": 3}],
    }
    assert reasons(found(dog, dog), count) == []
    assert reasons(found(dog), count) == ["2 dog expected, 1 found"]
    assert reasons(found(dog, dog, dog), count) == ["fewer than 3 dog expected, 3 found"]
    colour = {"include": [{"class": "dog", "count": 1, "color": "white"}]}
    assert reasons(found(dog), colour) == ["1 white dog expected, 0 found"]
    # only the first detections count, best first
    assert reasons(found(dog, ("dog", box(0, 0), "white")), colour) != []
    place = {"include": [two["include"][0], {**two["include"][1], "position": ["right of", 0]}]}
    assert reasons(found(dog, cat), place) == []
    wrong = {"include": [two["include"][0], {**two["include"][1], "position": ["above", 0]}]}
    assert reasons(found(dog, cat), wrong) == ["cat is not above its target"]
    assert len(reasons(found(cat), place)) == 2
    # of several every one counts
    white = {"include": [{"class": "dog", "count": 2, "color": "white"}]}
    other = ("dog", box(200, 0), "white")
    assert reasons(found(dog, other), white) == ["2 white dog expected, 1 found"]
    beside = {"include": [{"class": "dog", "count": 2}, place["include"][1]]}
    assert reasons(found(dog, other, cat), beside) == ["cat is not right of its target"]


def test_geneval_is_the_mean_of_tasks(tmp_path):
    import numpy as np

    values = np.array([[1, 0], [1, 0], [0, 0], [1, 2], [0, 2]])  # 2/3 and 1/2 in two tasks
    score = GenEval().score(values, None)
    assert score.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert score.details == {"single_object": pytest.approx(2 / 3), "counting": 0.5}
    assert score.low < score.value < score.high


def test_geneval_metadata(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    with pytest.raises(VarSpacesError, match="djghosh13"):
        get_suite("geneval").items()
    (tmp_path / "geneval").mkdir()
    data = {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "two dogs"}
    (tmp_path / "geneval" / "evaluation_metadata.jsonl").write_text(json.dumps(data) + "\n")
    items = get_suite("geneval").items()
    assert [item.index for item in items] == [0, 1, 2, 3]
    assert items[0].inputs == {"prompt": "two dogs"}
    assert items[0].facts["group"] == "counting"


# --- DPG-Bench ------------------------------------------------------------------------------------


def test_dpg_dependencies():
    questions = [
        {"id": "1", "parents": []},
        {"id": "2", "parents": ["1"]},
        {"id": "3", "parents": ["1", "2"]},
        {"id": "4", "parents": []},
    ]
    assert share_of_yes(questions, [True, True, True, True]) == 1
    assert share_of_yes(questions, [False, True, True, True]) == 0.25
    assert share_of_yes(questions, [True, False, True, True]) == 0.5
    assert share_of_yes(questions[1:2], [True]) == 0  # nobody asked whether its parent is there


def test_dpg_file(tmp_path):
    path = tmp_path / "dpg.csv"
    path.write_text(
        "item_id,text,proposition_id,dependency,question_natural_language\n"
        'a,"A dog, a cat",1,0,Is there a dog?\na,"A dog, a cat",2,1,Is it black?\n'
        "b,A cup,1,0,Is there a cup?\n"
    )
    found = read_questions(path)
    assert list(found) == ["a", "b"]
    text, asked = found["a"]
    assert text == "A dog, a cat"
    assert asked[1] == {"id": "2", "text": "Is it black?", "parents": ["1"]}


# --- composition ----------------------------------------------------------------------------------


def test_composition_reads_claims():
    """With facts as a perfect parser would see them: own pictures are right, others mostly not."""
    from types import SimpleNamespace

    import numpy as np

    from leaderboard.metrics.base import Batch, Cost
    from var_spaces.evaluators.compose import read_prompts

    prompts = read_prompts(20)
    items = tuple(get_suite("embedded-text").items())
    assert {item.facts["group"] for item in items} == set(Composition.groups)

    def measured(facts):
        context = SimpleNamespace(network=lambda _: lambda images: facts)
        batch = Batch(items, np.zeros((len(items), 1)), np.zeros((1, 1)), Cost(1, (), ()))
        return Composition().score(Composition().measure(batch, context), None).value

    assert measured([prompt.facts for prompt in prompts]) == 1
    assert measured([prompt.facts for prompt in prompts[1:] + prompts[:1]]) < 0.3
    assert isinstance(items[0], Item)
