"""Wiring that all tabs share: Stop can be pressed while something runs, and at no other time."""

from __future__ import annotations

import gradio as gr
import pytest

from var_spaces.ui.compare.tab import build_compare
from var_spaces.ui.queue.wiring import SWITCH
from var_spaces.ui.run.tab import build_tab


@pytest.fixture(scope="module")
def page(only_tiny_models) -> dict:
    """All tabs, built as when they are opened."""
    with gr.Blocks() as page:
        for name in ("generate", "edit"):
            build_tab(name)
        build_compare()
    return page.get_config_file()


@pytest.mark.parametrize("part", ["generate", "edit", "compare", "grid", "battle"])
def test_stop_is_on_from_the_start_of_a_run_to_its_end_however_it_ends(page, part):
    ids = {c["props"].get("elem_id"): c["id"] for c in page["components"]}
    stop = ids[f"{part}-stop"]
    (pressed,) = (
        d for d in page["dependencies"] if d["cancels"] and (stop, "click") in d["targets"]
    )
    (run,) = (d for d in page["dependencies"] if d["id"] in pressed["cancels"])
    switches = [d for d in page["dependencies"] if d["outputs"] == [stop]]
    assert not any(stop in d["outputs"] for d in page["dependencies"] if d not in switches)
    begins, ends = (
        [d for d in switches if d["js"] == SWITCH.format(stop=f"{part}-stop", what=what)]
        for what in ("begins", "ends")
    )
    assert [target for d in begins for target in d["targets"]] == run["targets"]
    after = [d for d in ends if d["trigger_after"] == run["id"]]
    assert [d["trigger_only_on_failure"] for d in after] == [False, True]
    assert not any(d["trigger_only_on_success"] for d in after)
    assert (stop, "click") in [target for d in ends for target in d["targets"]]
    assert run["trigger_mode"] == "once"  # one run of a tab at a time: its end is the end of all
