"""The tabs beside Generate in a real browser: each does its job with tiny models."""

from __future__ import annotations

import re
from base64 import b64decode

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.ui import test_browser
from tests.ui.test_browser import settles, slow
from var_spaces.codecs import PNG_SIGNATURE
from var_spaces.compare import votes


def show(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("tab", name=name).click()


def phase(page: Page, part: str, name: str) -> None:
    test_browser.phase(page, name, part)


def is_open(page: Page, name: str) -> None:
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def test_the_open_tab_is_in_the_address(open_page):
    page = open_page(query="?__theme=dark")
    show(page, "Edit")
    page.locator("#edit-go").wait_for()
    expect(page.locator("#tab-edit .vs-opening").first).to_be_hidden()
    show(page, "Compare")
    expect(page).to_have_url(re.compile(r"\?tab=compare&__theme=dark$"))
    page.emulate_media(forced_colors="active")  # which tab it is is seen without our colours
    underlined = page.locator("#tabs [role=tab]").evaluate_all(
        "tabs => tabs.filter(tab => getComputedStyle(tab).textDecorationLine === 'underline')"
        ".map(tab => tab.id)"
    )
    assert "tab-compare-button" in underlined and "tab-edit-button" not in underlined
    page.emulate_media(forced_colors="none")
    page.go_back()
    is_open(page, "Edit")
    page.go_back()
    is_open(page, "Generate")
    expect(page).to_have_url(re.compile(r"/\?__theme=dark$"))
    page.go_forward()
    is_open(page, "Edit")
    page.reload()
    page.locator("#edit-go").wait_for()
    page.go_back()
    is_open(page, "Generate")


def test_an_edit_starts_from_a_picture_and_shows_both(open_page):
    page = open_page()
    show(page, "Edit")
    page.locator("#edit-example-0").click()
    phase(page, "edit", "done")
    pictures = page.locator("#edit-stage .vs-slider img")
    expect(pictures).to_have_count(2)
    first, second = (pictures.nth(i).get_attribute("src") for i in (0, 1))
    assert first != second
    handle = page.locator("#edit-stage .vs-slider input")
    handle.focus()
    handle.press("Home")  # by keyboard, too
    expect(page.locator("#edit-stage .vs-slider")).to_have_attribute(
        "style", re.compile("--at: ?0%")
    )


def test_an_own_picture_is_edited_where_numbers_say(open_page, tmp_path):
    path = tmp_path / "own.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    page = open_page()
    show(page, "Edit")
    expect(page.get_by_text("hand it in, then paint over what is to change")).to_be_visible()
    page.locator("#edit-go").click()
    phase(page, "edit", "failed")
    expect(page.locator("#edit-status")).to_contain_text("There is no picture yet")
    page.locator("#edit-inputs-source input[type=file]").first.set_input_files(str(path))
    page.locator("#edit-inputs-rectangle input, #edit-inputs-rectangle textarea").fill(
        "0, 0.5, 1, 1"
    )
    page.locator("#edit-go").click()
    phase(page, "edit", "done")
    expect(page.locator("#edit-stage .vs-slider img")).to_have_count(2)


def test_equal_columns_show_exactly_no_difference(open_page):
    """Although the network is slow, and the button is pressed before the columns are equal."""
    page = open_page()
    show(page, "Compare")
    caches = [page.locator(f"#compare-{letter}-cache select") for letter in "ab"]
    expect(caches[1]).not_to_have_value(caches[0].input_value())
    page.evaluate(test_browser.NEVER_GIVES_UP)
    with slow(page):
        choose(page, "Twice the same")
        page.locator("#compare-go").click()
    phase(page, "compare", "done")
    expect(page.locator("#compare-pairs")).to_contain_text(
        "No difference: every token and every pixel is equal."
    )
    sources = [page.locator(".vs-column .vs-picture").nth(i).get_attribute("src") for i in (0, 1)]
    assert sources[0].startswith("data:image/png")
    expect(page.locator("#compare-cost .vs-table tbody tr")).to_have_count(2)


def test_what_a_press_starts_comes_into_view(open_page, gate):
    """However wide the page is."""
    page = open_page(1440, 900)
    show(page, "Compare")
    status = page.locator("#compare-status")
    status.wait_for()
    expect(status).not_to_be_in_viewport()
    gate.close()
    page.locator("#compare-go").press("Enter")
    expect(status).to_be_in_viewport()


def test_four_columns_and_every_pair_of_them(open_page):
    page = open_page()
    show(page, "Compare")
    page.locator("#compare-n").get_by_text("4", exact=True).click()
    page.locator("#compare-d-guidance-linear-scale input[type=number]").fill("7")
    page.locator("#compare-go").click()
    phase(page, "compare", "done")
    expect(page.locator(".vs-choose label")).to_have_count(6)
    expect(page.locator(".vs-pair:visible")).to_have_count(1)
    page.get_by_text("A and D", exact=True).click()
    shown = page.locator(".vs-pair:visible")
    expect(shown).to_have_attribute("data-pair", "AD")
    expect(shown.locator("tbody tr")).to_have_count(4)


def test_a_refused_column_is_named(open_page):
    page = open_page()
    show(page, "Compare")
    page.locator("#compare-b-guidance select").select_option(label="Guidance per scale")
    page.locator("#compare-b-guidance-per-scale-scale input").fill("1, much")
    page.locator("#compare-go").click()
    phase(page, "compare", "failed")
    expect(page.locator("#compare-status")).to_contain_text("Column B")
    expect(page.locator("#compare-status")).to_contain_text("'much' must be a number")


def test_a_comparison_is_stopped(open_page, gate):
    page = open_page()
    show(page, "Compare")
    gate.close()
    page.locator("#compare-go").click()
    phase(page, "compare", "running")
    page.locator("#compare-stop").click()
    phase(page, "compare", "stopped")
    assert gate.ends()


def test_a_grid_has_a_picture_per_cell(open_page):
    page = open_page()
    show(page, "Compare", "Grid")
    page.locator("#grid-go").click()
    phase(page, "grid", "done")
    expect(page.locator(".vs-grid img")).to_have_count(12)


def test_a_battle_hides_names_until_the_vote(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv(votes.VARIABLE, str(tmp_path / "votes.jsonl"))
    page = open_page()
    show(page, "Compare", "Blind battle")
    page.locator("#battle-go").click()
    expect(page.locator("#battle-vote-a")).to_be_enabled()
    expect(page.locator("#battle-pictures .vs-picture")).to_have_count(2)
    expect(page.locator("#battle-status")).not_to_contain_text("tiny-")
    for number in (0, 1):  # nor do the pictures tell
        uri = page.locator("#battle-pictures .vs-picture").nth(number).get_attribute("src")
        png = b64decode(uri.partition(",")[2])
        assert png.startswith(PNG_SIGNATURE)
        assert b"var-spaces" not in png
        assert b"tiny-" not in png
    page.locator("#battle-vote-a").click()
    expect(page.locator("#battle-status")).to_contain_text("Left: tiny-")
    expect(page.locator("#battle-vote-a")).to_be_disabled()
    expect(page.locator("#battle-ranking tbody tr")).to_have_count(2)
    (vote,), damaged = votes.read()
    assert (vote.winner, damaged) == ("a", 0)


def choose(page: Page, name: str) -> None:
    page.locator("#compare-preset input").click()
    page.get_by_role("option", name=name).click()


def test_nothing_sticks_out_of_a_narrow_screen(open_page):
    page = open_page(390, 800)
    built = {"Edit": "#edit-go", "Compare": "#compare-go"}
    built |= {"Grid": "#grid-go", "Blind battle": "#battle-go"}
    for name, button in built.items():
        show(page, name)
        page.locator(button).wait_for()
        for width in (320, 390, 768):
            page.set_viewport_size({"width": width, "height": 800})
            settles(page, f"document.documentElement.scrollWidth <= {width}", True)
