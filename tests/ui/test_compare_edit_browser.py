"""An edit, which is shown beside the picture before it, is sent on like all pictures: to be
compared, with the picture that it began with and what was painted on it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.ui.test_browser import forget
from tests.ui.test_tabs_browser import phase, show


def compared(page: Page, tab: str) -> None:
    """Send what a tab has drawn to be compared: column A is that run, bit for bit."""
    drawn = page.locator(f"#{tab}-stage .vs-slider img + img").get_attribute("src")
    page.locator(f"#{tab}-stage [data-send=compare]").click()
    status = page.locator("#compare-status")
    expect(status).to_have_text("The comparison is back. Press Compare to draw it again.")
    forget(page, "compare")
    page.locator("#compare-go").click()
    phase(page, "compare", "done")
    pictures = page.locator(".vs-column .vs-picture")
    expect(pictures).to_have_count(2)
    assert pictures.first.get_attribute("src") == drawn  # a PNG that holds its run


def test_edits_are_compared_with_what_they_began_with(open_page):
    page = open_page()
    for number in (0, 1):  # the second one builds the tab anew
        show(page, "Edit")
        page.locator("#edit-example-0").wait_for()
        forget(page, "edit")
        page.locator(f"#edit-example-{number}").click()
        phase(page, "edit", "done")
        compared(page, "edit")
