"""Takes the pictures of the page in ``docs/screenshots`` anew: ``python docs/take_screenshots.py``.

Names of pictures as arguments take only those.

Needs Chromium and the packages of ``requirements-dev.txt``. Shows the first model that there is.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from var_spaces.ui.app import build_app, launch_options  # noqa: E402
from var_spaces.ui.run import handlers  # noqa: E402

OUT = ROOT / "docs" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 960}, {"width": 390, "height": 844}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SCALES_WHILE_RUNNING = 4
PATIENCE = 240_000  # milliseconds: other work may keep the computer busy
QUALITY = 80
LONG = (
    "a red apple and a small blue sailboat on a light blue background, a glossy panda beside them, "
    "a sunflower in flat style, and a castle far behind on a pink hill"
)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    gate = Event()
    handlers.api.stream = held(handlers.api.stream, gate)
    page = build_app()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        for name in sys.argv[1:] or PICTURES:
            picture = PICTURES[name]
            gate.set()
            options, act = picture
            with opened(browser, url, options) as tab:
                act(tab, gate)
                tab.mouse.move(1, 1)
                save(tab, name)
        browser.close()
    page.close()


def held(stream: Callable, gate: Event) -> Callable:
    """``api.stream`` that waits after some scales while the gate is closed."""

    def wrapped(spec, **options) -> Iterator:
        with closing(stream(spec, **options)) as events:
            for number, event in enumerate(events):
                yield event
                if number == SCALES_WHILE_RUNNING:
                    gate.wait(60)

    return wrapped


@contextmanager
def opened(browser: Browser, url: str, options: dict) -> Iterator[Page]:
    context = browser.new_context(**options)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(url)
    tab.locator("#generate-go").wait_for()
    tab.evaluate("document.fonts.ready")
    yield tab
    context.close()


def save(tab: Page, name: str) -> None:
    """As WebP."""
    image = Image.open(io.BytesIO(tab.screenshot(animations="disabled"))).convert("RGB")
    path = OUT / f"{name}.webp"
    image.save(path, quality=QUALITY, method=6)
    print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size // 1024} kB")


# --- what the pictures show -----------------------------------------------------------------------


def status(tab: Page, phase: str, part: str = "generate") -> None:
    line = tab.locator(f"#{part}-status .vs-status")
    expect(line).to_have_attribute("data-phase", phase)


def empty(tab: Page, gate: Event) -> None:
    status(tab, "empty")


def example(number: int, pictures: int = 1) -> Callable:
    """Run an example, or what it fills in with another number of pictures."""

    def act(tab: Page, gate: Event) -> None:
        tab.locator(f"#generate-example-{number}").click()
        status(tab, "done")
        if pictures > 1:
            tab.locator("#generate-count input[type=number]").fill(str(pictures))
            tab.locator("#generate-go").click()
            expect(tab.locator(".vs-picture")).to_have_count(pictures)
            status(tab, "done")

    return act


def running(tab: Page, gate: Event) -> None:
    gate.clear()
    tab.locator("#generate-example-2").click()
    frames = tab.locator(".vs-frame[data-state=done]")
    expect(frames).to_have_count(SCALES_WHILE_RUNNING)


def cost(tab: Page, gate: Event) -> None:
    """A run that keeps a tenth of the cache."""
    tab.locator("summary", has_text="Memory and speed").click()
    tab.locator("#generate-cache select").select_option("snapkv")
    tab.locator("#generate-go").click()
    status(tab, "done")
    tab.locator("#generate-more .vs-table").scroll_into_view_if_needed()


def classes(tab: Page, gate: Event) -> None:
    """The list of classes with their thumbnails."""
    tab.locator("#generate-inputs-class input").click()
    expect(tab.locator(".vs-thumbs .vs-thumb").first).to_be_visible()


def help_panel(tab: Page, gate: Event) -> None:
    """The explanation of a word, from the place where it stands."""
    example(0)(tab, gate)
    tab.locator(".vs-term[data-term=entropy]").click()
    expect(tab.locator("dialog.vs-help")).to_be_visible()


def enlarged(tab: Page, gate: Event) -> None:
    """A picture, and where it leads."""
    example(2)(tab, gate)
    tab.locator(".vs-open").first.click()
    expect(tab.locator("dialog.vs-look")).to_be_visible()


def papers(tab: Page, gate: Event) -> None:
    """Rows of papers beside ours."""
    leaderboard(tab, gate)
    tab.get_by_role("button", name="Papers and ours").click()
    expect(tab.locator("#board-papers-table table").first).to_be_visible()
    tab.locator("#board-papers").evaluate("e => e.scrollIntoView()")


def text_model(tab: Page) -> None:
    tab.locator("#generate-model input").click()
    tab.get_by_role("option", name=re.compile("text to image|t2i|prompt", re.I)).first.click()
    expect(tab.locator("#generate-inputs-prompt")).to_be_visible()


def right_to_left(tab: Page, gate: Event) -> None:
    """A prompt in Arabic stands as it is read; the model says that it knows no such word."""
    text_model(tab)
    tab.locator("#generate-inputs-prompt textarea").fill("تفاحة حمراء على خلفية زرقاء")
    tab.locator("#generate-go").click()
    status(tab, "done")


def long_prompt(tab: Page, gate: Event) -> None:
    """More words than fit into a line."""
    text_model(tab)
    tab.locator("#generate-inputs-prompt textarea").fill(LONG)
    tab.locator("#generate-go").click()
    status(tab, "done")


def lined_up(tab: Page, gate: Event) -> None:
    """Runs that wait in the line, with places and times."""
    example(3)(tab, gate)
    tab.locator("[data-more]").click()
    expect(tab.locator(".vs-drawn img")).to_have_count(4)
    gate.clear()
    for number in (21, 22, 23):
        tab.locator("#generate-seed input").fill(str(number))
        tab.locator("#generate-go").click()
    expect(tab.locator(".vs-waiting li")).to_have_count(3)


def control(tab: Page, gate: Event) -> None:
    """Along an outline, where a model does that; else how to get one."""
    tab.get_by_role("tab", name="Control").click()
    begun = tab.locator("#control-example-0, #control-missing")
    expect(begun.first).to_be_visible()
    if tab.locator("#control-example-0").count():
        tab.locator("#control-example-0").click()
        status(tab, "done", "control")


def taught(name: str, steps: int) -> Callable:
    """A tab that trains, after a few steps on its first example, and a picture drawn with it."""

    def act(tab: Page, gate: Event) -> None:
        tab.get_by_role("tab", name=name.capitalize()).click()
        tab.locator(f"#{name}-sample-0").click()
        expect(tab.locator(f"#{name}-crops img").first).to_be_visible()
        tab.get_by_text("How it learns").click()
        tab.locator(f"#{name}-steps input").fill(str(steps))
        tab.locator(f"#{name}-train").click()
        line = tab.locator(f"#{name}-train-status .vs-status")
        expect(line).to_have_attribute("data-phase", "done", timeout=600_000)
        tab.get_by_text("How it learns").click()
        tab.locator(f"#{name}-own-idea-1").click()
        status(tab, "done", f"{name}-own")
        tab.locator(f"#{name}-train-status").scroll_into_view_if_needed()

    return act


def handed_in(tab: Page, gate: Event) -> None:
    """Five pictures of a thing, each with the square that is learned from."""
    tab.locator("#tab-subject-button").click()
    tab.locator("#subject-sample-0").click()
    expect(tab.locator("#subject-crops figure")).to_have_count(5)


def error(tab: Page, gate: Event) -> None:
    example(4)(tab, gate)
    tab.locator("#generate-seed input").fill("minus one")
    tab.locator("#generate-go").click()
    status(tab, "failed")
    expect(tab.locator(".toast-body")).to_have_css("opacity", "1")


def prompt(tab: Page, gate: Event) -> None:
    """A text model, if there is one."""
    text_model(tab)
    example(0)(tab, gate)


def edit(tab: Page, gate: Event) -> None:
    """A class change in the middle of a picture."""
    tab.get_by_role("tab", name="Edit").click()
    tab.locator("#edit-example-0").click()
    status(tab, "done", "edit")
    expect(tab.locator("#edit-stage .vs-slider")).to_be_visible()


def changes(tab: Page, gate: Event) -> None:
    """Below an edit: its steps, and what it changed."""
    edit(tab, gate)
    tab.locator("#edit-changes").scroll_into_view_if_needed()


def compare(tab: Page, gate: Event) -> None:
    """Four caches; what the page says below the columns."""
    tab.get_by_role("tab", name="Compare").click()
    tab.locator("#compare-preset input").click()
    tab.get_by_role("option", name="Four caches at 10 %").click()
    expect(tab.locator("#compare-d-cache")).to_be_visible()
    tab.locator("#compare-go").click()
    status(tab, "done", "compare")
    tab.locator("#compare-status").evaluate("e => e.scrollIntoView()")


def grid(tab: Page, gate: Event) -> None:
    tab.get_by_role("tab", name="Compare").click()
    tab.get_by_role("tab", name="Grid").click()
    tab.locator("#grid-go").click()
    status(tab, "done", "grid")


def battle(tab: Page, gate: Event) -> None:
    tab.get_by_role("tab", name="Compare").click()
    tab.get_by_role("tab", name="Blind battle").click()
    tab.locator("#battle-go").click()
    expect(tab.locator("#battle-vote-tie")).to_be_enabled()


def leaderboard(tab: Page, gate: Event) -> None:
    tab.get_by_role("tab", name="Leaderboard").click()
    expect(tab.locator("#board-table tbody tr").first).to_be_visible()


LIGHT = {"viewport": DESKTOP, "color_scheme": "light"}
DARK = {"viewport": DESKTOP, "color_scheme": "dark"}
SMALL = {"viewport": PHONE, "device_scale_factor": 2, "color_scheme": "light"}

PICTURES: dict[str, tuple[dict, Callable]] = {
    "empty": (LIGHT, empty),
    "running": (LIGHT, running),
    "light": (LIGHT, example(0)),
    "several": (LIGHT, example(3, pictures=16)),
    "line": (LIGHT, lined_up),
    "cost": (LIGHT, cost),
    "error": (LIGHT, error),
    "classes": (LIGHT, classes),
    "help": (LIGHT, help_panel),
    "enlarged": (LIGHT, enlarged),
    "papers": (LIGHT, papers),
    "right-to-left": (LIGHT, right_to_left),
    "prompt": (LIGHT, prompt),
    "long-prompt": (LIGHT, long_prompt),
    "edit": (LIGHT, edit),
    "edit-changes": (LIGHT, changes),
    "control": (LIGHT, control),
    "subject": (LIGHT, taught("subject", 12)),
    "style": (LIGHT, taught("style", 12)),
    "compare": (LIGHT, compare),
    "grid": (DARK, grid),
    "battle": (LIGHT, battle),
    "leaderboard": (LIGHT, leaderboard),
    "dark-leaderboard": (DARK, leaderboard),
    "phone-compare": ({**SMALL, "device_scale_factor": 1}, compare),
    "dark": (DARK, example(1)),
    "dark-empty": (DARK, empty),
    "phone": (SMALL, example(2)),
    "phone-subject": (SMALL, handed_in),
    "phone-edit": (SMALL, edit),
    "phone-control": (SMALL, control),
    "phone-error": (SMALL, error),
    "dark-edit": (DARK, edit),
    "dark-control": (DARK, control),
    "phone-dark": ({**SMALL, "color_scheme": "dark"}, empty),
}

if __name__ == "__main__":
    main()
