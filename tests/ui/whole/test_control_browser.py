"""A picture along a map in a browser: the map is laid over it, by keyboard, and it is compared."""

from __future__ import annotations

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.ui.test_browser import STICKS_OUT, settles
from tests.ui.test_compare_edit_browser import compared
from tests.ui.test_tabs_browser import phase, show
from tests.ui.whole.test_accessibility import complaints


def test_the_map_is_laid_over_the_picture(open_page, tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    page = open_page()
    show(page, "Control")
    page.locator("#control-inputs-source input[type=file]").set_input_files(str(path))
    expect(page.locator("#control-preview img")).to_be_visible()
    page.locator("#control-inputs-prompt textarea").fill("a castle")
    page.locator("#control-go").click()
    phase(page, "control", "done")
    opacity = page.get_by_label("Map over the picture (opacity)")
    picture = page.locator("#control-stage .vs-slider img + img")
    expect(picture).to_have_css("opacity", "1")
    opacity.press("End")
    expect(picture).to_have_css("opacity", "0")
    opacity.press("ArrowLeft")
    expect(picture).to_have_css("opacity", "0.05")
    handle = page.get_by_label("Line between Map and Picture")
    handle.press("Home")  # the line is another control
    expect(picture).to_have_css("opacity", "0.05")
    assert complaints(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    settles(page, STICKS_OUT, [])
    compared(page, "control")
