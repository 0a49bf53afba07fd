"""The leaderboard tab in a real browser: from a form to a verified row, filters in the address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from leaderboard.store.places import STORE_VARIABLE
from tests.ui.suite import TinyPage  # known by being imported

ROWS = "#board-table tbody tr"


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """An empty store; the rows that come with the project stay out of it."""
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setattr("leaderboard.store.places.SEEDED", tmp_path / "seeded")
    monkeypatch.chdir(tmp_path)  # unfinished jobs lie below the working directory


def choose(page, field: str, text: str) -> None:
    page.locator(f"#{field} input").click()
    page.get_by_role("option", name=text).first.click()


def test_from_form_to_verified_row(open_page):
    page = open_page(query="?tab=leaderboard")
    expect(page.locator("#board-table")).to_contain_text("No results yet")
    page.locator("#board-submit > button").click()
    choose(page, "submit-suite", TinyPage.title)
    methods = page.locator("#submit-cache select")
    methods.select_option(value="hack")
    page.locator("#submit-cache-hack-budget input[type=number]").fill("0.3")
    page.locator("#submit-who textarea, #submit-who input").first.fill("<b>Ada</b>")
    page.locator("#submit-go").click()
    expect(page.locator("#submit-said")).to_contain_text("Request")
    expect(page.locator("#board-requests")).to_contain_text("Done")
    expect(page.locator("#board-requests")).to_contain_text("Verified")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text("hack(budget=0.3)")
    expect(page.locator(f"{ROWS} th")).to_have_css("position", "sticky")  # beside what is scrolled
    expect(page.locator(ROWS)).to_contain_text("Verified")
    page.locator(".vs-pick").click()
    details = page.locator("#board-details")
    expect(details).to_contain_text("<b>Ada</b>")
    link = details.get_by_role("link", name="these settings").get_attribute("href")
    assert re.match(r"^\?run=", link)
    page.locator(".vs-sort").nth(1).click()  # a header ranks
    expect(page).to_have_url(re.compile(r"sort=[0-9a-f]{8}"))
    page.locator("#submit-go").click()  # once more
    expect(page.get_by_text("This is ranked already").first).to_be_visible()


def test_filters_are_in_the_address(open_page):
    page = open_page(query="?tab=leaderboard&search=ha")
    search = page.locator("#board-search input, #board-search textarea").first
    expect(search).to_have_value("ha")
    expect(page.locator("#board-table")).to_contain_text(re.compile(r"\w"))  # it has answered
    search.press("End")
    search.press_sequentially("ck")
    filtered = re.compile(r"\?tab=leaderboard&search=hack$")
    expect(page).to_have_url(filtered)
    page.get_by_role("tab", name="Edit").click()
    edit = re.compile(r"\?tab=edit$")
    expect(page).to_have_url(edit)
    page.evaluate("varSpaces.address('tab=leaderboard&search=hack')")  # an answer that is late
    expect(page).to_have_url(edit)
    page.get_by_role("tab", name="Leaderboard").click()
    expect(page).to_have_url(filtered)
    page.reload()
    expect(search).to_have_value("hack")
