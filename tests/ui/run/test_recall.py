"""Links to runs and the list of own runs: what they hold, and in a browser what they bring back."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from tests.ui.test_browser import choose, generate, phase, seed
from var_spaces import RunSpec
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.ui.compare.tab import build_compare, filled
from var_spaces.ui.form.form import Form
from var_spaces.ui.lazy import LazyRuns, runs_of
from var_spaces.ui.run import handlers, links
from var_spaces.ui.run.recall import recall
from var_spaces.ui.run.tab import Tab, build_tab

FORM = Form("generate")
RUNS = "#runs-list li button"
STORED = "localStorage.getItem('var-spaces-runs')"
MANY = """() => {
    const run = {title: "<img src=x onerror=alert(1)>", link: "?run=a"};
    for (let i = 0; i < 40; i++)
        varSpaces.remember({...run, id: `${i}`, picture: "javascript:alert(1)"});
    varSpaces.remember({...run, id: "large", picture: "x".repeat(1e6)});
}"""


def spec(**changes) -> RunSpec:
    base = RunSpec(model="tiny-styled", inputs={"class": "cat", "style": "flat"}, seed=5)
    return plan(base.replace(**changes)).spec


@pytest.mark.usefixtures("models")
def test_what_the_browser_gets_of_a_run():
    *views, last = handlers.run(FORM, FORM.values(spec()))
    assert all(links.share(view) is None for view in views)
    found = links.share(last)
    assert found["id"] == spec().id
    assert found["title"] == "cat · flat, seed 5"
    assert RunSpec.from_link(found["link"].removeprefix("?run=")) == spec()
    assert len(json.dumps(found)) < 10_000


@pytest.mark.usefixtures("models")
def test_links_lead_to_the_space_not_to_its_frame(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/var-spaces")
    assert links.link(spec()).startswith("https://huggingface.co/spaces/somebody/var-spaces?run=")
    assert len(links.link(spec(seed=2**63 - 1, count=64))) < 2000


def test_hashes_and_markup_are_no_title():
    source = {"source": "0" * 64, "rectangle": [0, 0, 0.5, 0.5]}
    edit = RunSpec(task="edit", model="m", inputs=source)
    assert "0" * 64 not in links.title(edit)
    assert len(links.title(RunSpec(model="m", inputs={"class": "x" * 900}))) <= 120


def test_a_run_too_long_for_a_link_has_none():
    words = "".join(f"{i * 7919 % 99991:x} " for i in range(800))
    long = RunSpec(model="m", inputs={"class": words})
    assert links.anchor(long) == "This run is too long for a link: share its PNG."


def test_titles_are_escaped_where_the_server_writes_them():
    assert "<script" not in links.anchor(RunSpec(model='"><script>'))


def packed(text: str) -> str:
    return urlsafe_b64encode(zlib.compress(text.encode())).decode().rstrip("=")


# --- in a browser ---------------------------------------------------------------------------------


def open_list(page: Page) -> None:
    page.get_by_role("button", name="My runs in this browser").click()


def copied(page: Page) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#generate-link").click()
    expect(page.locator("#generate-link")).to_have_text("Link copied")
    return page.evaluate("navigator.clipboard.readText()")


def test_a_link_brings_a_run_back_in_a_fresh_browser(open_page, served):
    page = open_page()
    expect(page.locator("#generate-link")).to_be_disabled()
    choose(page, "inputs-class", "gnu", "gnu")
    seed(page).fill("9223372036854775807")
    page.locator("#generate-guidance select").select_option(label="Guidance per scale")
    page.locator("#generate-guidance-per-scale-scale input").fill("3, 1.5, 0, 2")
    generate(page)
    first = page.locator(".vs-facts .vs-mono").text_content()
    address = copied(page)
    assert address.startswith(f"{served}?run=")
    assert len(address) < 2000

    fresh = open_page(query=address.removeprefix(served))
    expect(seed(fresh)).to_have_value("9223372036854775807")
    expect(fresh.locator("#generate-status")).to_contain_text(f"Settings of run {first} are back")
    expect(fresh.locator("#generate-inputs-class input")).to_have_value("gnu")
    generate(fresh)
    expect(fresh.locator(".vs-facts .vs-mono")).to_have_text(first)
    pictures = [p.locator(".vs-picture").get_attribute("src") for p in (page, fresh)]
    assert pictures[0] == pictures[1]


def test_links_work_inside_a_frame(open_page, served):
    """As in a Space, where the frame gets the parameters of the page around it."""
    page = open_page()
    parameter = spec(seed=77).to_link()
    page.set_content(f'<iframe src="{served}?run={parameter}" width="1200" height="900"></iframe>')
    frame = page.frame_locator("iframe")
    expect(frame.locator("#generate-seed input")).to_have_value("77")


def test_a_hostile_link_is_refused_in_one_line(open_page):
    parameter = packed('{"model":"<img src=x onerror=alert(1)>"}')
    page = open_page(query=f"?run={parameter}")
    expect(page.locator(".toast-body.error")).to_contain_text("Unknown model '<img src=x")
    expect(seed(page)).to_have_value("0")
    phase(page, "empty")


def test_a_link_brings_a_comparison_back(open_page, served):
    page = open_page(
        query="?run=" + compared({"seed": 9}, {"seed": 9, "cache": {"name": "quantised"}})
    )
    expect(page.locator("#compare-status")).to_contain_text("The comparison is back")
    expect(page.locator("#compare-seed input")).to_have_value("9")
    page.locator("#compare-go").click()
    expect(page.locator("#compare-status .vs-status")).to_have_attribute("data-phase", "done")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#compare-link").click()
    expect(page.locator("#compare-link")).to_have_text("Link copied")
    address = page.evaluate("navigator.clipboard.readText()")
    assert len(address) < 2000
    first, second = links.read(parse_qs(urlsplit(address).query)["run"][0])
    assert (first.seed, second.cache["name"]) == (9, "quantised")
    open_list(page)
    expect(page.locator(RUNS)).to_contain_text("seed 9, 2 columns")


def test_own_runs_are_listed_and_come_back(open_page):
    page, stranger = open_page(), open_page()
    open_list(page)
    expect(page.locator("#runs-list")).to_contain_text("The list stays in this browser")
    for number in ("41", "42", "41"):  # the same run again is no second entry, but the newest
        seed(page).fill(number)
        generate(page)
        expect(page.locator(RUNS).first).to_contain_text(f"ant · soft, seed {number}")
    expect(page.locator(RUNS)).to_have_count(2)
    page.reload()
    open_list(page)
    page.locator(RUNS).nth(1).click()
    expect(seed(page)).to_have_value("42")
    page.get_by_role("button", name="Clear the list").click()
    expect(page.locator(RUNS)).to_have_count(0)
    assert page.evaluate(STORED) is None

    stranger.reload()
    open_list(stranger)
    expect(stranger.locator("#runs-list")).to_contain_text("are listed here")
    assert stranger.evaluate(STORED) is None


def test_the_list_is_bounded_and_storage_is_not_trusted(open_page):
    page = open_page()
    open_list(page)
    page.evaluate(MANY)
    expect(page.locator(RUNS)).to_have_count(24)
    assert len(page.evaluate(STORED)) < 10_000
    expect(page.locator(f"{RUNS} img[src]")).to_have_count(0)
    page.evaluate("localStorage.setItem('var-spaces-runs', 'not JSON')")
    page.evaluate("varSpaces.remember({id: 'a', title: 'b', link: '?run=c', picture: ''})")
    expect(page.locator(RUNS)).to_have_count(1)


# --- hostile links, without a browser -------------------------------------------------------------


@pytest.fixture
def tabs(models) -> dict[str, Tab]:
    with gr.Blocks():
        return {"generate": build_tab("generate")}


def test_opening_a_link_fills_its_tab_and_shows_it(tabs):
    *changes, shown = recall(tabs, spec().to_link())
    assert len(changes) == len(tabs["generate"].restored)
    assert shown.selected == "generate"


def compared(*changes: dict) -> str:
    return parse_qs(links.link(*(spec(**change) for change in changes)).lstrip("?"))["run"][0]


def test_a_link_of_a_comparison_fills_all_columns(tabs):
    with gr.Blocks(), gr.Tabs():
        built = []
        tabs["compare"] = LazyRuns("compare", "Compare", built.append, check=filled)
    one, two, three = {}, {"cache": {"name": "quantised"}}, {"guidance": {"name": "per-scale"}}
    *changes, shown = recall(tabs, compared(one, two, three))
    assert shown.selected == "compare"
    (wanted,) = changes[len(tabs["generate"].restored) :]
    assert [run.cache["name"] for run in runs_of(wanted)] == ["full", "quantised", "full"]
    assert built == []  # the browser asks for it
    with gr.Blocks():
        build_compare(runs_of(wanted))
    for bad in ([one], [one] * 5, [one, {"seed": 6}], [one, {"count": 2}]):
        with pytest.raises(VarSpacesError, match=r"one run, or 2 to 4|differ in more than"):
            links_of = compared(*bad) if len(bad) > 1 else packed(f"[{spec().to_json()}]")
            recall(tabs, links_of)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("../../etc/passwd", "damaged"),
        (None, "damaged"),
        (["a"], "damaged"),
        ({"a": 1}, "damaged"),
        ("a" * 3000, "longer than 2000"),
        (packed("[" * 5000), "nested deeper"),
        (packed("[1, 2]"), "must be a JSON object"),
        (packed('{"model":"tiny-styled","task":"edit","inputs":{}}'), "There is no picture"),
        (packed('{"model":"tiny-styled","inputs":{"class":"../../etc"}}'), "has no class"),
        (packed('{"model":"../../etc/passwd"}'), "Unknown model"),
        (packed('{"model":"tiny-styled","schedule":[[1,1],[2,2]]}'), "own schedule"),
    ],
)
def test_hostile_links_change_nothing(tabs, parameter, message):
    with pytest.raises(VarSpacesError, match=message):
        recall(tabs, parameter)
