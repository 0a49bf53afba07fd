"""axe-core finds nothing serious: every tab, light and dark, before and after a run."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.ui.test_browser import generate

SERIOUS = ("serious", "critical")
# tabs, and what is there when they have been built
TABS = {
    "Edit": "#edit-go",
    "Compare": "#compare-go",
    "Grid": "#grid-go",
    "Blind battle": "#battle-go",
    "Leaderboard": "#board-table",
}
FADED_IN = """Promise.allSettled(
    document.getAnimations()
        .filter(one => one.effect.getTiming().iterations !== Infinity)
        .map(one => one.finished)
)"""


def complaints(page: Page) -> list[str]:
    """What axe finds serious, with the first element of each, once all has faded in."""
    page.evaluate(FADED_IN)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {rule['help']} {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation(open_page, scheme):
    page = open_page(color_scheme=scheme)
    assert complaints(page) == []
    generate(page)
    page.locator("summary", has_text="Run details").click()
    page.get_by_role("button", name="My runs in this browser").click()
    page.locator("#runs-list li button").wait_for()
    assert complaints(page) == []
    for tab, built in TABS.items():
        page.get_by_role("tab", name=tab).click()
        page.locator(built).wait_for()
        assert complaints(page) == [], tab
