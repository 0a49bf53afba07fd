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
    expect(waiting).to_have_count(4)
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
    page.locator("#generate-stop").click()  # only the run that is drawn
    phase(page, "stopped")
    expect(waiting).to_have_count(2)
    expect(waiting.nth(0)).to_contain_text("seed 1")
    gate.let_one_through()  # the step that was under way
    assert gate.ended.wait(30)
    gate.open()
    page.get_by_role("button", name="Go on with the others").click()
    drawn = page.locator(".vs-drawn img")
    expect(drawn).to_have_count(2)
    for place, number in enumerate((1, 3)):
        expect(drawn.nth(place)).to_have_attribute("alt", f"ant · soft, seed {number}, picture 0")
    page.get_by_role("button", name="My runs in this browser").click()
    expect(page.locator("[data-list=runs] li")).to_have_count(2)


def test_the_line_is_bounded_and_a_refusal_holds_it(open_page, gate):
    page = open_page()
    gate.close()
    page.locator("#generate-go").click()
    phase(page, "running")
    seed(page).fill("minus one")
    page.locator("#generate-go").click()
    for number in range(1, FULL + 1):
        seed(page).fill(str(number))
        page.locator("#generate-go").click()
    expect(page.locator(".vs-waiting li")).to_have_count(1 + FULL)
    expect(page.locator(".vs-line p")).to_have_text(
        "The line is full: wait for a run, or take one out."
    )
    gate.open()
    phase(page, "failed")
    expect(page.locator("#generate-status")).to_contain_text("minus one")
    page.get_by_role("button", name="Go on with the others").click()
    expect(page.locator(".vs-drawn img")).to_have_count(FULL)
