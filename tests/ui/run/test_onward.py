"""Where a picture leads: sent to other tabs, varied, compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.ui.run.test_html import running
from var_spaces import RunSpec
from var_spaces.compare.presets import PRESETS
from var_spaces.decoding.loop.clock import Known
from var_spaces.events import Candidates, ScaleDone
from var_spaces.ui.compare import tab as compare
from var_spaces.ui.run.onward import onward
from var_spaces.ui.run.view import RunView


def test_a_finished_picture_leads_on_and_another_does_not():
    assert onward(running(3)) == ""
    html = onward(replace(running(3), phase="done"))
    for found in ('data-send="edit"', 'data-send="compare"', 'data-more="4"', "data-keep="):
        assert found in html
    several = onward(replace(running(3, pictures=4), phase="done"))
    assert "data-send" not in several  # of which one is said by a click on it


def test_one_run_is_compared_with_what_a_preset_makes_of_it(models):
    spec = RunSpec(model="tiny-styled", inputs={"class": "cat", "style": "flat"}, seed=5, count=3)
    first, second = compare.beside(spec)
    assert first.inputs == second.inputs == spec.inputs
    assert (first.count, second.count) == (1, 1)
    assert PRESETS and first.seed == second.seed == 5


def test_candidates_that_were_dropped_count_in_the_peak():
    preview = np.zeros((1, 4, 4, 3), np.uint8)
    dropped = Candidates(image=0, why="best", previews=np.zeros((4, 4, 4, 3), np.uint8),
                         rewards=(1.0, 2.0, 3.0, 0.5), kept=(2,))  # fmt: skip
    done = ScaleDone(
        scale=0, size=(1, 1), tokens=1, kv_bytes=100, kv_full_bytes=200,
        ids=None, preview=preview, measured=Known(0.1, 1.0), rows=4, candidates=(dropped,),
        kv_pinned_bytes=50,
    )  # fmt: skip
    view = RunView().after(done)
    assert view.peak_kv_bytes == 400  # of four candidates, though one is left
    assert (view.scales[0].kv_full_bytes, view.scales[0].kv_pinned_bytes) == (800, 200)
