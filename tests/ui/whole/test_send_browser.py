"""A picture is sent from Generate to every tab that begins with one, and each takes it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.test_browser import generate

# what of a tab shows that the picture is there
TAKEN = {
    "edit": "#edit-inputs-source canvas",
    "style": "#style-crops img",
    "subject": "#subject-crops img",
    "control": "#control-inputs-source img, #control-inputs-source canvas",
}


def test_a_picture_is_sent_to_every_tab_that_begins_with_one(open_page):
    # a phone, where tabs stand in two rows; gradio speaks a language that the page does not
    page = open_page(390, 844, locale="de-DE")
    generate(page)
    offered = page.locator("#generate-stage [data-send]:visible")
    names = [name.get_attribute("data-send") for name in offered.all()]
    assert names == [*TAKEN, "compare"]
    for tab, taken in TAKEN.items():
        page.locator(f"#generate-stage [data-send={tab}]").click()
        expect(page.locator(f"#tab-{tab}-button")).to_have_attribute("aria-selected", "true")
        expect(page.locator(taken).first).to_be_visible()
        page.get_by_role("tab", name="Generate").click()
    page.locator("#generate-stage [data-send=compare]").click()
    expect(page.locator("#compare-inputs-class input")).to_have_value("ant")
    # once more, in place of the picture that is there
    page.get_by_role("tab", name="Generate").click()
    generate(page)
    page.locator("#generate-stage [data-send=style]").click()
    expect(page.locator("#style-crops img")).to_have_count(1)
