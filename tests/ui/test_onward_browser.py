"""What follows from a picture, without a mouse; and the page in another language."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.test_browser import phase


def test_a_run_is_edited_varied_and_kept_with_the_keyboard_alone(open_page):
    page = open_page()
    page.keyboard.press("Control+Enter")
    phase(page, "done")
    page.locator(".vs-open").press("Enter")
    look = page.locator("dialog.vs-look")
    expect(look.locator("img")).to_have_attribute("alt", "ant · soft, seed 0, picture 0")
    page.keyboard.press("ArrowRight")  # its scales come next
    expect(look.locator("figcaption")).to_contain_text("after scale 1")
    page.keyboard.press("Escape")
    expect(look).to_be_hidden()
    page.locator("[data-keep]").press("Enter")
    page.keyboard.type("my ant")
    page.keyboard.press("Enter")
    page.locator("[data-more]").press("Enter")
    drawn = page.locator(".vs-drawn img")
    expect(drawn).to_have_count(4)
    for number in range(4):  # the same thing, with the next seeds
        expect(drawn.nth(number)).to_have_attribute(
            "alt", f"ant · soft, seed {number + 1}, picture 0"
        )
    page.locator(".vs-open").first.press("ArrowRight")
    expect(page.locator(".vs-open").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    look.locator("[data-send=edit]").press("Enter")
    expect(page.locator("#edit-go")).to_be_visible()
    editor = page.locator("#edit-inputs-source")
    expect(editor.locator(".toolbar-wrap").first).to_be_visible()
    expect(editor).not_to_contain_text("Upload an image")  # it is there
    page.locator("#edit-inputs-rectangle input, #edit-inputs-rectangle textarea").fill("0,0,1,.5")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#edit-status .vs-status")).to_have_attribute("data-phase", "done")
    expect(page.locator("#edit-stage .vs-slider img")).to_have_count(2)
    page.get_by_role("button", name="My runs in this browser").press("Enter")
    expect(page.locator("[data-list=presets] li")).to_contain_text("my ant")


def test_a_chinese_browser_gets_a_chinese_page(open_page):
    page = open_page(locale="zh-CN")
    expect(page.locator("#generate-go")).to_have_text("生成")
    expect(page.get_by_role("tab", name="对比")).to_be_visible()
    page.locator("#generate-go").click()
    phase(page, "done")
    expect(page.locator("#generate-status")).to_contain_text("完成。")


def test_another_language_than_the_browsers_can_be_chosen(open_page):
    """The page comes anew for it. No run has begun here: gradio complains of one that is left."""
    page = open_page(locale="zh-CN")
    expect(page.locator("#generate-go")).to_have_text("生成")
    page.locator("[aria-label=Language], .vs-language select").select_option("en")
    expect(page.locator("#generate-go")).to_have_text("Generate")
