"""The Edit tab before a run: what can be painted is looked at, and the button is in view."""

from __future__ import annotations

from playwright.sync_api import expect


def test_a_region_is_painted_only_where_it_counts(open_page):
    page = open_page(1280, 700)
    page.get_by_role("tab", name="Edit").click()
    source = page.locator("#edit-inputs-source")
    expect(source.get_by_label("Image", exact=True)).to_be_visible()
    expect(source.get_by_label("Upload", exact=True)).to_be_visible()
    for name in ("Brush", "Erase"):
        expect(source.get_by_label(name, exact=True)).to_be_hidden()
    expect(source.get_by_text("Upload an image")).to_be_visible()
    expect(source.get_by_text("select the draw tool to start")).to_be_hidden()
    expect(page.locator("#edit-seed")).not_to_be_in_viewport()
    expect(page.locator("#edit-go")).to_be_in_viewport(ratio=1)
    page.locator("#edit-model input").click()
    page.get_by_role("option", name="Tiny with styles", exact=True).click()
    for name in ("Brush", "Erase"):
        expect(source.get_by_label(name, exact=True)).to_be_visible()
