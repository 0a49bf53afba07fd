"""Methods as the page's controls hold them, and what the browser is told of them."""

from __future__ import annotations

import json

import pytest

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.ui.form.schema import schema
from var_spaces.ui.form.values import KINDS, read_methods, shown_methods
from var_spaces.ui.script import script

USUAL = {kind: methods.names(kind)[0] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_controls_give_back_what_they_were_filled_with(kind):
    for name in methods.names(kind):
        method = methods.dump(methods.parse(kind, name))
        held = json.loads(json.dumps(shown_methods({**USUAL, kind: method})))
        assert methods.dump(methods.parse(kind, read_methods(held)[kind])) == method


@pytest.mark.parametrize("kind", KINDS)
def test_the_browser_knows_every_parameter_with_its_range(kind):
    told = {method["name"]: method for method in schema()[kind]["methods"]}
    assert list(told) == list(methods.names(kind))
    for name, method in told.items():
        options = methods.cli_options(methods.get(kind, name))
        assert [field["name"] for field in method["fields"]] == [o.field for o in options]
        for field, option in zip(method["fields"], options, strict=True):
            if field["kind"] in ("slider", "number"):
                assert (field["low"], field["high"]) == (option.range.low, option.range.high)
            if option.choices:
                assert field["choices"] == list(option.choices)


def test_the_script_of_the_page_holds_no_markup():
    assert "</script" not in script()
    json.dumps(schema(), allow_nan=False)


def test_lists_and_empty_controls():
    held = shown_methods({**USUAL, "guidance": {"name": "per-scale", "scale": [1, 1.5, 2]}})
    assert held["guidance"]["scale"] == "1.0, 1.5, 2.0"
    assert read_methods(held)["guidance"] == {"name": "per-scale", "scale": [1, 1.5, 2]}
    held["guidance"]["scale"] = " "
    assert read_methods(held)["guidance"] == {"name": "per-scale"}


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"name": "snapkv", "window": "many"}, "must be a whole number"),
        ({"name": "snapkv", "window": 1.5}, "must be a whole number"),
        ({"name": "snapkvv"}, "Did you mean 'snapkv'"),
        ({"name": ["snapkv"]}, "must name a method"),
        ({}, "must name a method"),
        ("snapkv", "must name a method"),
        (None, "must name a method"),
    ],
)
def test_what_is_wrong_is_named(held, message):
    with pytest.raises(VarSpacesError, match=message):
        read_methods({**shown_methods(USUAL), "cache": held})


@pytest.mark.parametrize("held", [None, "text", [1], 5])
def test_no_methods_at_all_are_refused(held):
    with pytest.raises(VarSpacesError, match="one method of each kind"):
        read_methods(held)
