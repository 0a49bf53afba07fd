"""Wiring that all tabs share: Stop can be pressed while something runs, and at no other time."""

from __future__ import annotations

import pytest

from var_spaces.ui.app import build_app
from var_spaces.ui.queue.wiring import OFF, ON


@pytest.fixture(scope="module")
def page(only_tiny_models) -> dict:
    return build_app().config


@pytest.mark.parametrize("part", ["generate", "edit", "compare", "grid", "battle"])
def test_stop_is_on_from_the_start_of_a_run_to_its_end_however_it_ends(page, part):
    stop = next(c["id"] for c in page["components"] if c["props"].get("elem_id") == f"{part}-stop")
    (pressed,) = (
        d for d in page["dependencies"] if d["cancels"] and (stop, "click") in d["targets"]
    )
    (run,) = (d for d in page["dependencies"] if d["id"] in pressed["cancels"])
    switches = [d for d in page["dependencies"] if d["outputs"] == [stop]]
    assert not any(stop in d["outputs"] for d in page["dependencies"] if d not in switches)
    on = [target for d in switches if d["js"] == ON for target in d["targets"]]
    assert on == run["targets"]
    ends = [d for d in switches if d["js"] == OFF]
    after = [d for d in ends if d["trigger_after"] == run["id"]]
    assert [d["trigger_only_on_failure"] for d in after] == [False, True]
    assert not any(d["trigger_only_on_success"] for d in after)
    assert (stop, "click") in [target for d in ends for target in d["targets"]]
    assert run["trigger_mode"] == "once"  # one run of a tab at a time: its end is the end of all
