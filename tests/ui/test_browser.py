"""The page in a real browser: what a visitor does, and what must never happen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from var_spaces import RunSpec

STATUS = "#generate-status .vs-status"
DONE = ".vs-frame[data-state=done]"
JOIN = "**/queue/join*"
SCALES = 4
# a press that waits for a form is heard when the form is there, not when the page gives up
NEVER_GIVES_UP = """() => {
    const real = window.setTimeout;
    window.setTimeout = (does, wait, ...rest) => (wait >= 10000 ? 0 : real(does, wait, ...rest));
}"""


def phase(page: Page, name: str, part: str = "generate") -> None:
    """Wait until a tab says so, and all that it shows is of that phase; what it said before the
    last :func:`forget` does not count."""
    status = page.locator(f"#{part}-status .vs-status:not([data-old])")
    expect(status).to_have_attribute("data-phase", name)
    stage = page.locator(f"#{part}-stage .vs-stage")
    if name == "done" and stage.count():
        expect(stage).to_have_attribute("data-phase", name)


def forget(page: Page, part: str = "generate") -> None:
    """Before another run: what a tab says now is of the last one."""
    mark = "(all) => all.forEach((one) => one.setAttribute('data-old', ''))"
    page.locator(f"#{part}-status .vs-status").evaluate_all(mark)


def generate(page: Page) -> None:
    forget(page)
    page.locator("#generate-go").click()
    phase(page, "done")


def settles(page: Page, script: str, wanted: object) -> None:
    """Wait until an expression has a value: what has moved is laid out anew by scripts, too."""
    with suppress(TimeoutError):
        said = f"JSON.stringify({script}) === JSON.stringify({json.dumps(wanted)})"
        page.wait_for_function(said)
    assert page.evaluate(script) == wanted


@contextmanager
def slow(page: Page) -> Iterator[None]:
    """What is asked of the server meanwhile, one thing at least, gets there at the end."""
    held, over = [], []
    page.route(JOIN, lambda route: route.continue_() if over else held.append(route))
    with page.expect_request(JOIN):
        yield
    over.append(True)
    for route in held:  # gradio asks more than once
        route.continue_()


def drop(page: Page, path: object) -> None:
    page.locator("#generate-drop input[type=file]").set_input_files(str(path))


def seed(page: Page):
    return page.locator("#generate-seed input")


def choose(page: Page, field: str, typed: str, name: str) -> None:
    """Search in a dropdown by typing, then take the hit."""
    box = page.locator(f"#generate-{field} input")
    box.click()
    box.fill(typed)
    page.get_by_role("option", name=name, exact=True).click()
    expect(box).to_have_value(name)


def test_a_run_fills_the_filmstrip_and_ends_with_a_picture(open_page, gate):
    page = open_page()
    expect(page.locator(".vs-frame")).to_have_count(SCALES)
    expect(page.locator(DONE)).to_have_count(0)
    expect(page.locator("#generate-download")).to_be_disabled()
    choose(page, "inputs-class", "he", "hen")
    seed(page).fill("9223372036854775807")
    gate.close()
    page.locator("#generate-go").click()
    phase(page, "running")
    gate.open()
    phase(page, "done")
    expect(page.locator(DONE)).to_have_count(SCALES)
    expect(page.locator(f"{DONE} img")).to_have_count(SCALES)
    picture = page.locator(".vs-picture")
    expect(picture).to_have_attribute("alt", re.compile("^hen · soft, seed 9223372036854775807"))
    expect(picture).to_have_js_property("naturalWidth", 16)
    assert picture.bounding_box()["width"] == pytest.approx(384, abs=1)
    expect(page.locator(".vs-table tbody tr")).to_have_count(SCALES)
    expect(page.locator(".vs-held")).to_have_count(SCALES)
    expect(page.locator(".vs-facts")).to_contain_text("9223372036854775807")
    expect(page.locator("#generate-stop")).to_be_disabled()


def test_run_details_say_how_to_repeat_the_run(open_page):
    """Here with the keyboard alone."""
    page = open_page()
    seed(page).press("Enter")
    phase(page, "done")
    forget(page)
    page.locator("#generate-go").press("Enter")
    phase(page, "done")
    expect(page.locator("#generate-go")).to_be_focused()
    expect(page.locator("#generate-status [role=status]")).to_have_count(1)
    page.locator("summary", has_text="Run details").press("Enter")
    expect(page.locator("#generate-command code")).to_contain_text(
        "python -m var_spaces generate --model tiny-styled --class ant --style soft --seed 0"
    )
    expect(page.locator("#generate-spec code")).to_contain_text('"task": "generate"')
    expect(page.locator(".vs-identity")).to_contain_text("cpu")


def test_stop_ends_the_run_and_keeps_what_was_drawn(open_page, gate):
    page = open_page()
    expect(page.locator("#generate-stop")).to_be_disabled()
    gate.close()
    page.locator("#generate-go").click()
    phase(page, "running")
    with page.expect_request("**/cancel"):
        page.locator("#generate-stop").click()
    phase(page, "stopped")
    expect(page.locator("#generate-status")).to_contain_text("Nothing was drawn yet.")
    expect(page.locator("#generate-stop")).to_be_disabled()
    assert gate.ends()
    phase(page, "stopped")
    gate.open()
    generate(page)  # and the page still works
    expect(page.locator(DONE)).to_have_count(SCALES)


def test_leaving_the_page_ends_the_run(open_page, gate):
    page = open_page()
    gate.close()
    page.locator("#generate-go").click()
    phase(page, "running")
    page.context.close()
    assert gate.ends()


def test_a_saved_picture_brings_its_settings_back(open_page, tmp_path):
    page = open_page()
    choose(page, "inputs-class", "dog", "dog")
    choose(page, "inputs-style", "flat", "flat")
    seed(page).fill("123")
    page.locator("#generate-guidance-linear-scale input[type=number]").fill("3.7")
    generate(page)
    for button, name in (("download", "dog-flat-123"), ("download-large", "dog-flat-123-large")):
        with page.expect_download() as info:
            page.locator(f"#generate-{button}").click()
        assert info.value.suggested_filename == f"{name}.png"
        info.value.save_as(tmp_path / f"{button}.png")
        spec = RunSpec.read_png(tmp_path / f"{button}.png")
        assert spec.guidance["scale"] == 3.7

    fresh = open_page()
    for button in ("download", "download-large"):
        seed(fresh).fill("0")
        drop(fresh, tmp_path / f"{button}.png")
        expect(seed(fresh)).to_have_value("123")
    phase(fresh, "notice")
    expect(fresh.locator(STATUS)).to_contain_text(f"Settings of run {spec.id} are back")
    expect(fresh.locator("#generate-inputs-class input")).to_have_value("dog")
    generate(fresh)
    expect(fresh.locator(".vs-facts .vs-mono")).to_have_text(spec.id)
    first, second = (p.locator(".vs-picture").get_attribute("src") for p in (page, fresh))
    assert first == second


def test_a_bad_file_gives_one_clear_message(open_page, tmp_path):
    page = open_page()
    toasts = page.locator(".toast-body.error")
    bad = {
        "cut": (b"\x89PNG\r\n\x1a\n", "is cut"),
        "gif": (b"GIF89a", "is a GIF file, which carries no run spec"),
    }
    for name, (data, message) in bad.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(data)
        drop(page, path)
        expect(toasts.filter(has_text=message)).to_have_count(1)
        expect(page.locator("#generate-drop input[type=file]")).to_be_attached()


def test_a_refused_value_is_explained_where_the_run_would_be(open_page):
    page = open_page()
    generate(page)
    seed(page).fill("<b>abc</b>")
    page.locator("#generate-go").click()
    phase(page, "failed")
    expect(page.locator(STATUS)).to_contain_text("'<b>abc</b>' must be a whole number")
    expect(page.locator(".toast-body.error")).to_contain_text("'<b>abc</b>' must be a whole number")
    expect(page.locator("#generate-stop")).to_be_disabled()
    expect(page.locator(".vs-picture")).to_be_visible()  # the last picture stays


def test_another_model_brings_its_own_choices(open_page):
    page = open_page()
    page.locator("#generate-count input[type=number]").fill("2")
    choose(page, "inputs-class", "elk", "elk")
    page.locator("#generate-guidance-linear-scale input[type=number]").fill("9")
    choose(page, "model", "Tiny", "Tiny")
    expect(page.locator("#generate-inputs-style input")).to_have_value("any")
    expect(page.locator("#generate-inputs-class input")).to_have_value("elk")
    expect(page.locator("#generate-guidance-linear-scale input[type=number]")).to_have_value("2")
    generate(page)
    expect(page.locator(".vs-picture")).to_have_count(2)
    expect(page.locator(".vs-facts")).to_contain_text("tiny-var")
    expect(page.locator("#generate-download")).to_have_text("Download 2 PNGs (zip), 16 px")


def test_the_last_of_two_models_counts_however_slow_the_network_is(open_page):
    page = open_page()
    page.evaluate(NEVER_GIVES_UP)
    with slow(page):
        choose(page, "model", "Tiny", "Tiny")
        choose(page, "model", "styles", "Tiny with styles")
        choose(page, "inputs-class", "elk", "elk")
        page.locator("#generate-go").click()
    phase(page, "done")
    expect(page.locator("#generate-model input")).to_have_value("Tiny with styles")
    expect(page.locator(".vs-facts")).to_contain_text("elk")
    expect(page.locator("#generate-inputs-style input")).to_be_visible()


def test_the_parameters_of_the_chosen_method_are_shown(open_page):
    page = open_page()
    linear = page.locator("#generate-guidance-linear-scale")
    listed = page.locator("#generate-guidance-per-scale-scale")
    expect(linear).to_be_visible()
    expect(listed).to_have_count(0)
    methods = page.locator("#generate-guidance select")
    methods.select_option(label="Guidance per scale")
    expect(listed).to_be_visible()
    expect(linear).to_have_count(0)  # controls exist for the chosen method only
    generate(page)


def test_tab_leaves_no_list_open(open_page):
    page = open_page()
    page.locator("#generate-model input").focus()
    lists, steps = page.locator("[role=listbox]:visible"), 0
    while page.evaluate("document.activeElement.id") != "generate-go":
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement !== document.body")
        steps += page.evaluate("document.activeElement.matches('input[role=combobox]')")
    assert steps > 1  # lists were passed
    page.keyboard.press("Shift+Tab")
    expect(lists).to_have_count(0)


def test_an_example_fills_the_form_and_runs(open_page):
    page = open_page()
    page.locator("#generate-example-1").click()
    phase(page, "done")
    expect(page.locator(".vs-facts h2")).to_have_text("cat · flat")
    expect(seed(page)).to_have_value("2")


def test_the_die_changes_the_seed(open_page):
    page = open_page()
    page.locator("#generate-dice").click()
    expect(seed(page)).not_to_have_value("0")
    assert 0 <= int(seed(page).input_value()) < 2**32


STICKS_OUT = """[...document.querySelectorAll("main *")].filter(element => {
    const apart = ".vs-scroll, svg, [role=listbox], [aria-hidden=true]";
    if (element.closest(apart)) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map(element => element.outerHTML.slice(0, 100))"""


def test_nothing_sticks_out_of_a_narrow_screen(open_page):
    page = open_page(390, 800, color_scheme="dark")
    generate(page)
    page.locator("summary", has_text="Run details").click()
    expect(page.locator("#generate-command code")).to_be_visible()
    seed(page).fill("W" * 100)  # what is wrong with it is said in full
    page.locator("#generate-go").click()
    phase(page, "failed")
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 800})
        settles(page, STICKS_OUT, [])
        settles(page, f"document.documentElement.scrollWidth <= {width}", True)


def test_who_waits_is_told_so(open_page, gate):
    first, second = open_page(), open_page()
    gate.close()
    first.locator("#generate-go").click()
    phase(first, "running")
    second.locator("#generate-go").click()
    expect(second.locator("#generate-status .progress-text")).to_contain_text("queue: 1/1")
    gate.open()
    phase(first, "done")
    phase(second, "done")


def test_a_press_counts_though_the_button_moves_away_under_it(open_page):
    """As when a control above it is loaded between the two halves of a press."""
    page = open_page()
    box = page.locator("#generate-go").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    away = "document.querySelector('#tabs').style.marginTop = '300px'"
    back = "document.querySelector('#tabs').style.marginTop = ''"
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] + 40)  # off the button: no press at all
    page.evaluate(away)
    page.mouse.up()
    page.evaluate(back)
    expect(page.locator(STATUS)).to_have_attribute("data-phase", "empty")
    page.mouse.move(*middle)
    page.mouse.down()
    page.evaluate(away)
    page.mouse.up()
    phase(page, "done")
