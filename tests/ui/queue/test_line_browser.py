"""Several runs of a visitor wait in the line: places, times, taken out, stopped, drawn in order."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.ui.test_browser import phase, seed

FULL = 12


def test_runs_wait_their_turn(open_page, gate):
    page = open_page()
    gate.close()
    waiting, said = page.locator(".vs-waiting li"), page.locator(".vs-line p")

    def ask(number: int) -> None:
        seed(page).fill(str(number))
        page.locator("#generate-go").click()

    ask(0)
    phase(page, "running")
    expect(page.locator(".vs-line")).to_be_hidden()  # one run needs no line
    for number in (1, 2, 3):
        ask(number)
        expect(waiting).to_have_count(1 + number)
    expect(waiting.nth(0)).to_contain_text("now")
    expect(waiting.nth(2)).to_contain_text("place 3ant")
    expect(waiting.nth(2)).to_contain_text("seed 2")
    ask(3)
    expect(said).to_have_text("This run is in the line already.")
    expect(waiting).to_have_count(4)
    gate.let_one_through()
    gate.let_one_through()
    expect(waiting.nth(3)).to_have_text(re.compile(r"done in about \d+ s×"))
    waiting.nth(2).get_by_role("button", name="Take out of the line").click()
    expect(waiting).to_have_count(3)
    with page.expect_request("**/cancel"):
        page.locator("#generate-stop").click()  # only the run that is drawn
    assert gate.ends()
    phase(page, "stopped")
    expect(waiting).to_have_count(2)
    expect(waiting.nth(0)).to_contain_text("seed 1")
    gate.open()
    page.get_by_role("button", name="Go on with the others").click()
    drawn = page.locator(".vs-drawn img")
    expect(drawn).to_have_count(2)
    expect(said).to_be_empty()
    for place, number in enumerate((1, 3)):
        expect(drawn.nth(place)).to_have_attribute("alt", f"ant · soft, seed {number}, picture 0")
    page.get_by_role("button", name="My runs in this browser").click()
    expect(page.locator("[data-list=runs] li")).to_have_count(2)


def test_the_line_is_bounded_and_a_refusal_holds_it(open_page, gate):
    page = open_page()
    gate.close()
    page.locator("#generate-go").click()
    phase(page, "running")
    for number, asked in enumerate(("minus one", *range(1, FULL + 1)), 2):
        seed(page).fill(str(asked))
        page.locator("#generate-go").click()
        expect(page.locator(".vs-waiting li")).to_have_count(min(number, 1 + FULL))
    expect(page.locator(".vs-line p")).to_have_text(
        "The line is full: wait for a run, or take one out."
    )
    gate.open()
    phase(page, "failed")
    expect(page.locator("#generate-status")).to_contain_text("minus one")
    page.get_by_role("button", name="Go on with the others").click()
    expect(page.locator(".vs-drawn img")).to_have_count(FULL)


# Stop is pressed within a step of the browser, when nobody can press it on purpose
BETWEEN = """() => {
  const { ended } = varSpaces.line;
  varSpaces.line.ended = (tab, how) => {
    ended(tab, how);
    if (how !== "done") return;
    varSpaces.line.ended = ended;
    varSpaces.line.stopping(tab);
  };
}"""
AT_ONCE = """() => {
  const { take, ended } = varSpaces.line;
  window.told = new Set();
  varSpaces.line.ended = (tab, how) => {
    ended(tab, how);
    told.add(how);
  };
  varSpaces.line.take = (tab, values) => {
    document.getElementById(`${tab}-stop`).click();
    varSpaces.line.take = take;
    return take(tab, values);
  };
}"""


def test_stop_between_two_runs_stops_the_second(open_page, gate):
    page = open_page()
    gate.close()
    page.locator("#generate-go").click()
    phase(page, "running")
    for number in (1, 2):
        seed(page).fill(str(number))
        page.locator("#generate-go").click()
        expect(page.locator(".vs-waiting li")).to_have_count(1 + number)
    page.evaluate(BETWEEN)
    gate.open()
    expect(page.locator(".vs-line p")).to_have_text("Stopped before it began.")
    page.get_by_role("button", name="Go on with the others").click()
    drawn = page.locator(".vs-drawn img")
    expect(drawn).to_have_count(2)
    for place, number in enumerate((0, 2)):
        expect(drawn.nth(place)).to_have_attribute("alt", f"ant · soft, seed {number}, picture 0")


def test_stop_reaches_a_run_that_has_not_reached_the_line(open_page, gate):
    page = open_page()
    page.evaluate(AT_ONCE)
    gate.close()
    with page.expect_request("**/cancel"):
        page.locator("#generate-go").click()
    gate.open()  # gradio answers when the step that is under way has ended
    page.wait_for_function("told.has('failed') && told.has('stopped')")
    expect(page.locator("#generate-stop")).to_be_disabled()
    seed(page).fill("1")
    page.locator("#generate-go").click()
    phase(page, "done")
    expect(page.locator(".vs-picture")).to_have_attribute("alt", "ant · soft, seed 1, picture 0")
