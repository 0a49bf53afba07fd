"""A page with tiny models: in this process for handlers, served for clients and browsers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Condition
from threading import Event as Signal
from typing import Any

import pytest

from tests.ui.models import write

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 90_000  # milliseconds: other work may keep the computer busy
HELD = 900  # seconds for which a run is held at most; a test waits for several things meanwhile
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync"]
# Gradio's image editor says this on a slow computer, when it is drawn anew while it loads a mask.
KNOWN = "No draw texture found for layer"
# Gradio's client says these of a page that is left while the server still writes to it.
LEFT = ("AbortError: signal is aborted without reason", "Unexpected error Connection errored out.")


@pytest.fixture(scope="session")
def page_models(tmp_path_factory):
    """Folder of ``tiny-var`` without styles and ``tiny-styled`` with two."""
    return write(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def only_tiny_models(page_models, tmp_path_factory) -> Iterator[None]:
    """No other model exists, whatever is embedded."""
    from var_spaces.zoo import places

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "EMBEDDED", tmp_path_factory.mktemp("none"))
        patch.setenv("VAR_SPACES_MODELS", str(page_models))
        yield


@pytest.fixture
def models(only_tiny_models) -> None:
    """For tests that run in this process."""


class Gate:
    """Holds runs of the served page after any event, and knows when they have ended."""

    def __init__(self) -> None:
        self.ended = Signal()
        self._changed = Condition()
        self._open, self._permits = True, 0

    def open(self) -> None:
        self._set(True, 0)

    def close(self) -> None:
        self._set(False, 0)

    def let_one_through(self) -> None:
        self._set(False, 1)

    def ends(self) -> bool:
        """Whether a run ends that was stopped: steps may begin before the server has noticed, so a
        few are let through, fewer than a run has."""
        for patience in (1, 5, 20, 60):
            self.let_one_through()
            if self.ended.wait(patience):
                return True
        return False

    def _set(self, open_: bool, permits: int) -> None:
        with self._changed:
            self._open, self._permits = open_, permits
            self._changed.notify_all()

    def _pass(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._open or self._permits, HELD)
            self._permits = max(0, self._permits - 1)

    def stream(self, real: Callable) -> Callable:
        """``api.stream`` that waits for the gate after every event."""

        def stream(spec, **options):
            self.ended.clear()
            try:
                with closing(real(spec, **options)) as events:
                    for event in events:
                        yield event
                        self._pass()
            finally:
                self.ended.set()

        return stream


@pytest.fixture(scope="session")
def _served(only_tiny_models, tmp_path_factory) -> Iterator[tuple[str, Gate, Any]]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from var_spaces.ui.app import build_app, launch_options
    from var_spaces.ui.run import handlers

    gate = Gate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handlers.api, "stream", gate.stream(handlers.api.stream))
        patch.setenv("VAR_SPACES_MAX_WAITING_ADDRESS", "64")  # all tests are one address
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        page = build_app()
        options = {**launch_options(), "server_name": "127.0.0.1"}
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
        try:
            yield url, gate, page
        finally:
            gate.open()
            page.close()


@pytest.fixture
def served(_served) -> Iterator[str]:
    """Address of the page."""
    url, gate, _ = _served
    gate.open()
    yield url
    gate.open()


@pytest.fixture
def gate(_served) -> Gate:
    return _served[1]


@pytest.fixture
def page_of(_served) -> Any:
    """The page itself, a ``gr.Blocks``."""
    return _served[2]


@pytest.fixture(scope="session")
def browser():
    """A real headless Chromium with a fresh profile."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("No Chromium on this computer: the page is not tested in a browser.")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, served) -> Iterator[Callable]:
    """Open the page; at the end nothing may have gone wrong in it, nor have left this computer."""
    contexts, complaints, leaving, left = [], [], [], set()

    def note(request) -> None:
        if not request.url.startswith((served, "data:", "blob:")):
            complaints.append(f"external request {request.url}")

    def console(message) -> None:
        if message.type != "error" or message.text == KNOWN:
            return
        said = f"console: {message.text} {message.location}"
        if message.text.startswith(LEFT):  # before the browser says that the page is left
            leaving.append((message.page, said))
        else:
            complaints.append(said)

    def going(page, request) -> None:
        if request.is_navigation_request() and request.frame == page.main_frame:
            left.add(page)

    def open_(width: int = 1280, height: int = 900, query: str = "", **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", note)
        page.on("console", console)
        page.on("pageerror", lambda error: complaints.append(f"page: {error}"))
        page.goto(served + query)
        page.on("request", lambda request: going(page, request))
        # a link may open another tab
        page.locator("#generate-go").wait_for(state="attached" if query else "visible")
        return page

    yield open_
    for context in contexts:
        context.close()
    complaints += [said for page, said in leaving if page not in left]
    assert not complaints, "\n".join(complaints)
