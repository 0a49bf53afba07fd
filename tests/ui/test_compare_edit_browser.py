"""An edit, which is shown beside the picture before it, is sent on like all pictures: to be
compared, with the picture that it began with."""

from __future__ import annotations

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.ui.test_tabs_browser import phase, show


def test_an_edit_is_compared_with_its_picture(open_page, tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    page = open_page()
    show(page, "Edit")
    editor = page.locator("#edit-inputs-source")
    editor.locator(".toolbar-wrap").first.wait_for()
    editor.locator("input[type=file]").first.set_input_files(str(path))
    region = page.locator("#edit-inputs-rectangle").locator("input, textarea")
    region.fill("0, 0.5, 1, 1")
    page.locator("#edit-go").click()
    phase(page, "edit", "done")
    page.locator("#edit-stage [data-send=compare]").click()
    expect(page.locator("#compare-status")).to_contain_text("hand it in again")
    expect(page.locator("#compare-inputs-source .toolbar-wrap").first).to_be_visible()
    expect(page.locator("#compare-inputs-source .empty")).to_have_count(0)
    page.locator("#compare-go").click()
    phase(page, "compare", "done")
    expect(page.locator(".vs-column .vs-picture")).to_have_count(2)
