"""axe-core finds nothing serious: every tab, light and dark, on a desktop and on a phone. Nothing
sticks out, and no "?" lies on a label or a button."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.ui.test_browser import generate, settles
from var_spaces.ui import tabs

SERIOUS = ("serious", "critical")
# tabs, those inside the one before them too, and what is there when they have been built
TABS = {
    "Edit": "#edit-go",
    "Style": "#style-train",
    "Subject": "#subject-train",
    "Inject now, without training": "#subject-missing",
    "Control": "#control-go",
    "Compare": "#compare-go",
    "Grid": "#grid-go",
    "Blind battle": "#battle-go",
    "Leaderboard": "#board-table",
}
# colours do not know of widths, nor widths of colours: two looks show each of them
LOOKS = {"light": (1280, 900), "dark": (390, 844)}
FADED_IN = """Promise.allSettled(
    document.getAnimations()
        .filter(one => one.effect.getTiming().iterations !== Infinity)
        .map(one => one.finished)
)"""

COVERED = """[...document.querySelectorAll(".block > .vs-ask")].flatMap(ask => {
    const own = ask.getBoundingClientRect(), block = ask.parentElement;
    const text = document.createRange();
    text.selectNodeContents(block.querySelector("[data-testid=block-info]"));
    const others = [...text.getClientRects(),
        ...[...block.querySelectorAll("button, input")].filter(e => e !== ask)
            .map(e => e.getBoundingClientRect())];
    const covers = other => own.width && own.left < other.right && other.left < own.right
        && own.top < other.bottom && other.top < own.bottom;
    return others.some(covers) ? [block.id] : [];
})"""


def complaints(page: Page) -> list[str]:
    """What axe finds serious, with the first element of each, once all has faded in."""
    page.evaluate(FADED_IN)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {rule['help']} {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in SERIOUS
    ]


def looked_at(page: Page, what: str) -> None:
    """What is there now, in every look; the one that comes first is left."""
    for scheme, (width, height) in reversed(LOOKS.items()):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        settles(page, "document.body.classList.contains('dark')", scheme == "dark")
        assert complaints(page) == [], f"{what}, {scheme}"
        settles(page, f"document.documentElement.scrollWidth <= {width}", True)
        settles(page, COVERED, [])


def test_no_serious_violation(open_page):
    page = open_page()
    looked_at(page, "Generate")
    generate(page)
    page.locator("summary", has_text="Run details").click()
    page.get_by_role("button", name="My runs in this browser").click()
    page.locator("#runs-list li button").wait_for()
    looked_at(page, "Generate with a picture")
    for tab, built in TABS.items():
        page.get_by_role("tab", name=tab).click()
        page.locator(built).wait_for()
        looked_at(page, tab)


def test_every_tab_is_looked_at(open_page):
    shown = open_page().locator("#tabs [role=tab]")
    expect(shown).to_have_text(["Generate", *[t for t in TABS if t in shown.all_inner_texts()]])
    assert {tabs.words(name).title for name in tabs.names()} <= {"Generate", *TABS}
