"""Grids: every cell is the single run with that spec."""

from __future__ import annotations

import pytest

from var_spaces import RunSpec
from var_spaces.compare import presets
from var_spaces.compare.grid import axis, cells, paths, varied
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan

SPEC = RunSpec(model="tiny-var", inputs={"class": "key"}, seed=4)
pytestmark = pytest.mark.usefixtures("use_tiny_models")


def test_a_cell_is_the_run_with_these_values():
    x, y = axis(SPEC, "guidance.scale", "1, 2.5"), axis(SPEC, "seed", "7,8,9")
    rows = cells(SPEC, x, y)
    assert [len(row) for row in rows] == [2, 2, 2]
    want = SPEC.replace(seed=9, guidance={"name": "linear", "scale": 2.5})
    assert rows[2][1] == plan(want).spec


def test_a_method_is_chosen_before_its_parameters():
    base = SPEC.replace(cache={"name": "snapkv", "budget": 0.5})
    x, y = axis(base, "cache.budget", "0.3, 0.6"), axis(base, "cache", "snapkv, h2o")
    rows = cells(base, x, y)
    assert [(c.cache["name"], c.cache["budget"]) for row in rows for c in row] == [
        ("snapkv", 0.3),
        ("snapkv", 0.6),
        ("h2o", 0.3),
        ("h2o", 0.6),
    ]


def test_one_axis_is_a_row():
    (row,) = cells(SPEC, axis(SPEC, "inputs.class", "key, 0"))
    assert [cell.inputs["class"] for cell in row] == ["key", "red apple"]


def test_lists_are_separated_by_semicolons():
    base = SPEC.replace(guidance={"name": "per-scale", "scale": [1]})
    found = axis(base, "guidance.scale", "1,2,3; 2")
    assert found.values == ([1, 2, 3], [2])


def test_what_a_spec_leaves_out_while_it_is_unset_varies_too():
    assert "steps" not in SPEC.inputs and "inputs.steps" in paths(SPEC)
    assert varied(SPEC, "inputs.steps", 6).inputs == {**SPEC.inputs, "steps": 6}
    with pytest.raises(VarSpacesError, match=r"any size|steps"):  # of a model without a choice
        cells(SPEC, axis(SPEC, "inputs.steps", "2, 3"))


def test_no_parameter_of_a_run_is_forgotten():
    for path in paths(SPEC):
        try:
            varied(SPEC, path, 1)
        except VarSpacesError as error:
            assert "has no parameter" not in str(error)


def test_all_parameters_are_known():
    assert {"seed", "model", "cache", "guidance.scale", "inputs.class"} <= set(paths(SPEC))
    for path in paths(SPEC):
        assert path.partition(".")[0] in (*RunSpec.model_fields, "inputs")


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("sed", "1", "Did you mean 'seed'"),
        ("seed", "a", "must be a whole number"),
        ("seed", " , ", "Give values"),
        ("guidance.scale", "strong", "must be a number"),
        ("sampling.smooth", "maybe", "must be yes or no"),
    ],
)
def test_bad_axes_are_refused(path, text, message):
    with pytest.raises(VarSpacesError, match=message):
        axis(SPEC, path, text)


def test_grids_are_bounded():
    many = axis(SPEC, "seed", ",".join(map(str, range(40))))
    with pytest.raises(VarSpacesError, match="at most 36"):
        cells(SPEC, many)
    with pytest.raises(VarSpacesError, match="two parameters"):
        cells(SPEC, axis(SPEC, "seed", "1"), axis(SPEC, "seed", "2"))
    with pytest.raises(VarSpacesError, match="out of range"):
        cells(SPEC, axis(SPEC, "guidance.scale", "1, 99"))


def test_presets_that_cannot_run_are_not_offered(monkeypatch):
    strange = presets.Preset("strange", ({}, {"cache": {"name": "nothing-of-the-kind"}}))
    refused = presets.Preset("refused", ({}, {"guidance": {"name": "linear", "scale": 99}}))
    monkeypatch.setattr(presets, "PRESETS", (*presets.PRESETS, strange, refused))
    found = {preset.name: preset for preset in presets.presets(SPEC)}
    assert "Twice the same: no difference" in found
    for preset in found.values():
        runs = presets.columns(preset, SPEC.replace(cache={"name": "h2o"}))
        assert 2 <= len(runs) <= 4
        assert preset not in (strange, refused)
        assert {run.seed for run in runs} == {4}
        assert runs[0].cache["name"] != "h2o"
