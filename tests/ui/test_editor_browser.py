"""The image editor keeps a picture that comes before it is ready, and sends what it has once."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.ui.test_tabs_browser import choose, phase, show
from var_spaces.ui.form.uploads import UNREADABLE

FILES = 3  # background, drawing and both together
# hands a file in within the very step in which the editor appears
EARLY = """(id) => {
  const file = new File([Uint8Array.from(atob(window.early), (letter) => letter.charCodeAt(0))],
    "own.png", { type: "image/png" });
  new MutationObserver((_, watch) => {
    const block = document.getElementById(id);
    const input = block?.querySelector("input[type=file]");
    if (!input) return;
    watch.disconnect();
    window.ready = !!block.querySelector(".toolbar-wrap");
    const held = new DataTransfer();
    held.items.add(file);
    if (window.how === "drop")
      block.querySelector(".image-container").dispatchEvent(new DragEvent("drop",
        { dataTransfer: held, bubbles: true, cancelable: true }));
    else {
      input.files = held.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }).observe(document.body, { childList: true, subtree: true });
}"""

# sizes of the pictures that the editor writes from now on, into which no more than 64 pixels go
WRITTEN = """() => {
  varSpaces.mostPixels = 64;
  window.written = new Set();
  const real = HTMLCanvasElement.prototype.toBlob;
  HTMLCanvasElement.prototype.toBlob = function (...all) {
    window.written.add(`${this.width}x${this.height}`);
    return real.apply(this, all);
  };
}"""


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    return path


@contextmanager
def uploads(page: Page) -> Iterator[list[str]]:
    """Files that are sent meanwhile."""
    found: list[str] = []

    def note(request) -> None:
        if request.url.endswith("/upload"):
            found.append(request.url)

    page.on("request", note)
    yield found
    page.remove_listener("request", note)


@pytest.mark.parametrize("how", ["chosen", "drop"])
def test_a_picture_that_comes_before_the_editor_is_ready_waits(open_page, picture, how):
    page = open_page()
    show(page, "Compare")
    told = b64encode(picture.read_bytes()).decode()
    page.evaluate("([early, how]) => Object.assign(window, { early, how })", [told, how])
    page.evaluate(EARLY, "compare-inputs-source")
    page.locator("#compare-task input").click()
    page.get_by_role("option", name="Draw the details anew").click()
    page.locator("#compare-inputs-source .toolbar-wrap").first.wait_for()
    assert page.evaluate("window.ready") is False
    expect(page.locator("#compare-inputs-source .empty")).to_have_count(0)
    page.locator("#compare-go").click()
    phase(page, "compare", "done")


def test_a_picture_is_handed_in_once_for_all_columns(open_page, picture):
    page = open_page()
    show(page, "Compare")
    hint = page.locator(".vs-over").filter(has_text="Your picture")
    expect(hint.first).to_be_hidden()
    page.locator("#compare-task input").click()
    page.get_by_role("option", name="Draw the details anew").click()
    expect(page.get_by_text("Your picture: hand it in", exact=True).first).to_be_visible()
    page.locator("#compare-go").click()
    phase(page, "compare", "failed")
    expect(page.locator("#compare-status")).to_contain_text("There is no picture yet: hand one in.")
    wrong = picture.with_name("text.png")
    wrong.write_text("no picture")
    handed = page.locator("#compare-inputs-source input[type=file]").first
    handed.set_input_files(str(wrong))
    refused = page.locator("#compare-inputs-source [role=alert]")
    expect(refused).to_have_text(UNREADABLE)
    page.evaluate(WRITTEN)
    with uploads(page) as sent:
        handed.set_input_files(str(picture))
        expect(refused).to_have_count(0)
        choose(page, "Twice the same")
        page.locator("#compare-go").click()
        phase(page, "compare", "done")
        expect(page.locator("#compare-pairs")).to_contain_text("No difference")
        expect(page.locator(".vs-column .vs-picture")).to_have_count(2)
    assert 0 < len(sent) <= FILES
    assert page.evaluate("[...window.written]") == ["8x8"]  # of 16 by 16
