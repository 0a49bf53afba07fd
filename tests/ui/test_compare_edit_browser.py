"""An edit, which is shown beside the picture before it, is sent on like all pictures."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.test_tabs_browser import phase, show


def test_an_edit_is_sent_to_compare(open_page):
    page = open_page()
    show(page, "Edit")
    page.locator("#edit-example-0").click()
    phase(page, "edit", "done")
    page.locator("#edit-stage [data-send=compare]").click()
    expect(page.locator("#compare-status")).to_contain_text("Hand in its picture again")
    expect(page.locator("#compare-inputs-source .toolbar-wrap").first).to_be_visible(timeout=20000)
