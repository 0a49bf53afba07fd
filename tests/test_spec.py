"""Run specs and records: identity, refusals, and the JSON and link codecs."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.spec import MAX_COUNT, MAX_FIRST, MAX_SEED, RunSpec

SPEC = RunSpec(model="var-small", inputs={"class": "red apple"}, seed=7)


def specs() -> st.SearchStrategy[RunSpec]:
    side = st.integers(1, 64)
    return st.builds(
        RunSpec,
        model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        inputs=st.fixed_dictionaries(
            {"class": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)}
        ),
        schedule=st.none() | st.lists(st.tuples(side, side), min_size=1, max_size=10),
        sampling=st.fixed_dictionaries(
            {"name": st.just("top-k-top-p")},
            optional={"top_k": st.integers(0, 4096), "top_p": st.floats(0, 1)},
        ),
        guidance=st.fixed_dictionaries({"name": st.just("linear"), "scale": st.floats(0, 10)}),
        seed=st.integers(0, MAX_SEED),
        count=st.integers(1, MAX_COUNT),
        first=st.integers(0, MAX_FIRST - MAX_COUNT),
    )


def refusal(call, *args, **kwargs) -> str:
    with pytest.raises(VarSpacesError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


# --- identity -----------------------------------------------------------------------------------


def test_canonical_json_and_id_are_frozen():
    """Links, pictures and leaderboard rows in the wild carry these; they must never change."""
    assert SPEC.to_json() == (
        '{"cache":{"name":"full"},"count":1,"decoding":{"name":"plain"},"first":0,'
        '"guidance":{"name":"linear","scale":1.5},"inputs":{"class":"red apple","style":null},'
        '"model":"var-small","sampling":{"name":"top-k-top-p","smooth":false,"temperature":1.0,'
        '"top_k":900,"top_p":0.96},"schedule":null,"seed":7,"task":"generate","version":1}'
    )
    assert SPEC.id == "5d4267fe42efb049"


def test_id_is_the_same_in_another_process():
    code = f"from var_spaces.spec import RunSpec; print(RunSpec.from_json({SPEC.to_json()!r}).id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SPEC.id


def test_what_is_left_out_does_not_change_the_id():
    full = json.loads(SPEC.to_json())
    assert RunSpec(**full).id == SPEC.id
    bare = {"model": "var-small", "inputs": {"class": "red apple"}, "seed": 7}
    assert RunSpec(**bare, cache="full", guidance={"name": "linear"}).id == SPEC.id
    assert RunSpec(**bare, sampling={"name": "top-k-top-p", "temperature": 1}).id == SPEC.id
    assert RunSpec(**bare, guidance={"name": "linear", "scale": -0.0}).to_json().count("-0") == 0


@pytest.mark.parametrize(
    "change",
    [
        {"model": "var-base"},
        {"inputs": {"class": "key"}},
        {"schedule": [[1, 1], [2, 2]]},
        {"sampling": {"name": "top-k-top-p", "top_k": 3}},
        {"guidance": {"name": "linear", "scale": 2}},
        {"seed": 8},
        {"count": 2},
        {"first": 1},
    ],
)
def test_every_field_is_part_of_the_id(change):
    assert SPEC.replace(**change).id != SPEC.id


def test_specs_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        SPEC.seed = 3
    for mapping in (SPEC.sampling, SPEC.inputs, RunSpec(model="m", inputs={"class": "x"}).cache):
        with pytest.raises(TypeError, match="frozen"):
            mapping["name"] = "other"
        with pytest.raises(TypeError, match="frozen"):
            mapping.update(a=1)


@given(specs())
def test_copies_are_equal(spec):
    for other in (copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)), spec.replace()):
        assert other == spec
        assert other.id == spec.id
        assert hash(other) == hash(spec)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"sed": 1}, ("unknown field 'sed'", "Did you mean 'seed'?")),
        ({"seed": -1}, ("seed = -1", f"0 to {MAX_SEED}")),
        ({"seed": 2**63}, ("seed", f"0 to {MAX_SEED}")),
        ({"seed": "7"}, ("seed = '7' must be a whole number",)),
        ({"count": 0}, ("count = 0", "1 to 64")),
        ({"count": 65}, ("count = 65", "1 to 64")),
        ({"first": -1}, ("first = -1",)),
        ({"model": ""}, ("model = ''",)),
        ({"model": "m" * 1800}, ("model has 1800 characters: allowed are at most 256.",)),
        ({"model": 3}, ("model = 3 must be text",)),
        ({"version": 2}, ("version = 2",)),
        ({"task": "generat"}, ("Unknown task 'generat'", "Did you mean 'generate'?")),
        ({"task": ["generate"]}, ("Unknown task",)),
        ({"inputs": {"clas": "x"}}, ("unknown field 'clas'", "Did you mean 'class'?")),
        ({"inputs": {"name": "edit"}}, ("'name' is no input",)),
        ({"inputs": [1]}, ("inputs = ", "must be a JSON object")),
        ({"inputs": {"class": {"a": [[[[[[[[[1]]]]]]]]]}}}, ("inputs", "nested deeper")),
        ({"inputs": {"class": "x" * 70_000}}, ("inputs", "larger than the allowed 64 kB")),
        ({"inputs": {"class": {1, 2}}}, ("cannot be written as JSON",)),
        ({"cache": {"name": "ful"}}, ("Unknown cache 'ful'", "Did you mean 'full'?")),
        ({"cache": None}, ("does not describe a cache method",)),
        ({"guidance": {"name": "linear", "scal": 1}}, ("unknown field 'scal'", "'scale'?")),
        ({"sampling": {"name": "top-k-top-p", "top_p": 1.5}}, ("top_p = 1.5", "0 to 1")),
        ({"schedule": []}, ("1 to 64 scales",)),
        ({"schedule": [[1, 0]]}, ("1x0", "1 to 1024")),
        ({"schedule": [[1, 1, 1]]}, ("schedule[0]",)),
        ({"schedule": [[1, "1"]]}, ("schedule[0][1]", "whole number")),
        ({"schedule": 3}, ("schedule = 3",)),
    ],
)
def test_refused_fields_say_what_is_allowed(change, parts):
    message = refusal(RunSpec, **{"model": "m", "inputs": {"class": "x"}, **change})
    for part in parts:
        assert part in message


def test_model_is_required():
    assert refusal(RunSpec, inputs={"class": "x"}) == "run spec: the field 'model' is missing."


# --- JSON and link ------------------------------------------------------------------------------


@given(specs())
def test_json_round_trip(spec):
    text = spec.to_json()
    assert text.isascii()
    assert RunSpec.from_json(text) == spec
    assert RunSpec.from_json(text).to_json() == text
    shuffled = dict(reversed(json.loads(text).items()))
    assert RunSpec.from_json(json.dumps(shuffled, indent=1)).id == spec.id


@given(specs())
def test_link_round_trip(spec):
    link = spec.to_link()
    assert len(link) <= codecs.MAX_LINK_CHARS
    assert set(link) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert RunSpec.from_link(link) == spec


def test_link_of_a_huge_spec_is_refused():
    import random

    noise = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4000))
    spec = SPEC.replace(inputs={"class": noise})
    assert "share it as a PNG or JSON file" in refusal(spec.to_link)


# --- files --------------------------------------------------------------------------------------


def test_file_round_trip(tmp_path):
    path = tmp_path / "spec.json"
    SPEC.to_file(path)
    assert path.read_text() == SPEC.to_json() + "\n"
    assert RunSpec.from_file(path) == SPEC
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_cannot_be_used(tmp_path):
    assert "Cannot read" in refusal(RunSpec.from_file, tmp_path / "none.json")
    assert "Cannot read" in refusal(RunSpec.from_file, tmp_path)
    assert "Cannot write" in refusal(SPEC.to_file, tmp_path / "no" / "folder.json")
    assert list(tmp_path.iterdir()) == []


def test_the_last_image_has_a_number_too():
    """Each image of a run has a spec of its own."""
    RunSpec(model="m", first=MAX_FIRST - 3, count=4)
    with pytest.raises(VarSpacesError, match="ends at image 1000000001"):
        RunSpec(model="m", first=MAX_FIRST, count=2)
