"""The benchmark of ablations: settings that recipes have, and the table of a suite."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from leaderboard.suites import base
from leaderboard.suites.base import get_suite
from leaderboard.suites.embedded_control import EmbeddedControl
from tests.controls import write_control
from tests.infinity import write_models
from var_spaces.training.engine.plan import Options
from var_spaces.training.engine.runs import make_plan

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def ablations(tmp_path, monkeypatch):
    """The module, which writes into ``tmp_path/results``."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ablations
    import report

    monkeypatch.setattr(report, "FOLDER", tmp_path / "results")
    return ablations


def test_every_variant_is_one_that_its_recipe_can_train(ablations):
    for study in ablations.STUDIES.values():
        plans = [
            make_plan(study.config, Options(settings=variant.settings))
            for variant in study.variants.values()
        ]
        settings = [plan.settings for plan in plans if plan.options.settings]
        assert plans[0].settings not in settings  # each differs from the usual one
        assert len({str(one) for one in settings}) == len(settings)
        get_suite(study.suite)


def test_the_table_of_a_study(ablations, tmp_path, monkeypatch):
    items = [i for i in get_suite("embedded-control").items() if i.inputs["control"] in WANTED]
    monkeypatch.setattr(EmbeddedControl, "items", lambda self: items[:6])
    monkeypatch.setattr(base, "_hash", base._hash.__wrapped__)  # it is another suite meanwhile
    variants = {name: ablations.CONTROL.variants[name] for name in ("full", "none", "scalar")}
    columns = {"canny F1": ("control-f1", "canny"), "IoU": ("control-iou", "mask")}
    study = replace(ablations.CONTROL, variants=variants, columns=columns)
    monkeypatch.setitem(ablations.STUDIES, "control", study)
    monkeypatch.setenv("VAR_SPACES_MODELS", str(write_models(tmp_path / "base")))
    for name, gate in (("full", "linear"), ("scalar", "scalar")):
        write_control(tmp_path / "models" / f"control-{name}", gate=gate)
    places = ["--models", str(tmp_path / "models"), "--work", str(tmp_path / "jobs")]
    monkeypatch.setattr(sys, "argv", ["ablations", "control", *places])
    ablations.main()
    kept = json.loads((tmp_path / "results/ablations_control.json").read_text("utf-8"))["results"]
    assert list(kept) == ["full", "none", "scalar"]
    assert len({str(scores) for scores in kept.values()}) == 3
    page = (tmp_path / "results/ablations_control.md").read_text("utf-8")
    assert "| no control | " in page and "| ceiling: the tokenizer alone | " in page


WANTED = ("canny", "palette", "mask")
