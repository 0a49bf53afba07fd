"""How fast the page answers, is seen, and shows a picture, in a real headless Chromium.

python benchmarks/page.py                            this checkout
python benchmarks/page.py --against ../before        side by side with another checkout
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import report
from playwright.sync_api import (
    Browser,
    CDPSession,
    Page,
    Request,
    TimeoutError,
    expect,
    sync_playwright,
)

ROOT = Path(__file__).parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MODEL = "VAR small, 64 px"
PATIENCE = 120_000  # milliseconds
# (key, what it is, unit)
NUMBERS = (
    ("answers", "the page answers after its start", "s"),
    ("seen", "Generate is seen after opening", "s"),
    ("first", "from click to the first scale", "s"),
    ("picture", "from click to the picture", "s"),
    ("leaves", "of this: in the browser, before the request leaves", "s"),
    ("accepted", "until the server has put it into the line", "s"),
    ("message", "until the first message of the run is back", "s"),
    ("last", "until the last message is back: drawing, and what the server writes", "s"),
    ("shown", "until the browser has shown it", "s"),
    ("drawing", "the drawing alone, as the run's own record says", "s"),
    ("sent", "sent from click to picture", "kB"),
    ("components", "components", ""),
    ("events", "events", ""),
    ("html", "HTML of the first view", "kB"),
)
TEXT = """Server and browser share the machine. The picture is one of `var-small` in its usual
settings, after two others (warm). Medians of {repeats} pages; all checkouts take turns.

{table}
"""
# Notes when the first scale and the picture are in the page, from the click on.
WATCH = """() => {
  const seen = window.vsSeen = {};
  const note = (name) => { if (!(name in seen)) seen[name] = performance.now(); };
  document.getElementById("generate-go").addEventListener("click", () => {
    for (const key of Object.keys(seen)) delete seen[key];
    note("click");
  }, {capture: true});
  new MutationObserver(() => {
    const seed = document.querySelector("#generate-stage .vs-facts dd")?.textContent;
    if (!("click" in seen) || seed !== window.vsSeed) return; // still the run before
    const phase = document.querySelector("#generate-status .vs-status")?.dataset.phase;
    const drawn = document.querySelector("#generate-stage .vs-frame[data-state=done]");
    if (drawn) note("first");
    if (phase === "done" && document.querySelector("#generate-stage .vs-picture")) {
      requestAnimationFrame(() => note("picture"));
    }
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""


@contextmanager
def serving(checkout: Path) -> Iterator[tuple[str, float]]:
    """Address of the page of a checkout, and the seconds until it answered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "GRADIO_SERVER_PORT": str(port),
            "HF_HUB_OFFLINE": "1",
            "VAR_SPACES_LEADERBOARD": folder,
            "VAR_SPACES_MODELS": "",
        }
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=checkout,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}/"
        try:
            while not _answers(url):
                if process.poll() is not None:
                    sys.exit(f"The page of {checkout} ended.")
                time.sleep(0.05)
            yield url, time.perf_counter() - begin
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def weight(url: str) -> dict[str, float]:
    """What the first view holds."""
    html = httpx.get(url, timeout=60).text
    config = httpx.get(f"{url}config", params={"page": ""}, timeout=60).json()
    return {
        "components": len(config["components"]),
        "events": len(config["dependencies"]),
        "html": len(html.encode()) / 1000,
    }


def visit(browser: Browser, url: str) -> dict[str, float]:
    """One visitor: opens the page, draws three pictures; the times of the last one."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    begin = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator("#generate-go").wait_for(state="visible")
    seen = time.perf_counter() - begin
    if page.locator("#generate-model input").input_value() != MODEL:
        page.locator("#generate-model input").click()
        # What the model brings should be there: it may take the place of what is typed next. When
        # that is, only the network says, and it says nothing if other answers come by the same way.
        with (
            suppress(TimeoutError),
            page.expect_event("requestfinished", _is_stream, timeout=15_000),
        ):
            page.get_by_role("option", name=MODEL).click()
        expect(page.locator("#generate-model input")).to_have_value(MODEL)
    page.evaluate(WATCH)
    network = Network(context.new_cdp_session(page))
    for seed in range(1, 4):
        page.locator("#generate-seed input").fill(str(seed))
        page.locator("#generate-seed input").blur()
        network.clear()
        page.evaluate("seed => { window.vsSeed = String(seed); }", seed)
        times = _draw(page, network)
    context.close()
    return {"seen": seen, "sent": network.bytes / 1000, **times}


def _is_stream(request: Request) -> bool:
    return "/queue/data" in request.url


class Network:
    """What goes over the network during a run, with the time of day in seconds."""

    def __init__(self, session: CDPSession) -> None:
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._request)
        session.on("Network.responseReceived", self._response)
        session.on("Network.dataReceived", self._data)
        self.clear()

    def clear(self) -> None:
        self.bytes, self.join, self.offset = 0, "", 0.0
        self.left = self.accepted = self.message = self.last = 0.0

    def _request(self, event: dict[str, Any]) -> None:
        url = event["request"]["url"]
        if "/queue/join" in url and not self.join:
            self.join, self.left = event["requestId"], event["wallTime"]
            self.offset = event["wallTime"] - event["timestamp"]

    def _response(self, event: dict[str, Any]) -> None:
        if event["requestId"] == self.join:
            self.accepted = event["timestamp"] + self.offset

    def _data(self, event: dict[str, Any]) -> None:
        self.bytes += event["dataLength"]
        if self.join and event["requestId"] != self.join:  # what comes before is of no run
            self.last = event["timestamp"] + self.offset
            self.message = self.message or self.last


def _draw(page: Page, network: Network) -> dict[str, float]:
    page.locator("#generate-go").click()
    page.wait_for_function("() => window.vsSeen && 'picture' in window.vsSeen")
    seen, origin = page.evaluate("() => [window.vsSeen, performance.timeOrigin]")
    times = {name: (seen[name] - seen["click"]) / 1000 for name in ("first", "picture")}
    at = [(origin + seen["click"]) / 1000, network.left, network.accepted, network.message]
    at += [network.last, (origin + seen["picture"]) / 1000]
    names = ("leaves", "accepted", "message", "last", "shown")
    parts = {name: b - a for name, a, b in zip(names, at, at[1:], strict=False)}
    told = page.locator("#generate-status p").inner_text()
    amount, unit = re.search(r"in ([\d.]+) (ms|s)", told).groups()
    return {**times, **parts, "drawing": float(amount) / (1000 if unit == "ms" else 1)}


def measure(checkouts: Sequence[Path], repeats: int) -> list[dict[str, list[float]]]:
    """All numbers of all checkouts, one list per number."""
    found: list[dict[str, list[float]]] = [{} for _ in checkouts]
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        sys.exit("No Chromium on this computer.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for turn in range(repeats):
            for numbers, checkout in zip(found, checkouts, strict=True):
                with serving(checkout) as (url, answers):
                    row = {"answers": answers, **weight(url), **visit(browser, url)}
                for key, value in row.items():
                    numbers.setdefault(key, []).append(value)
                told = ", ".join(f"{key} {value:.2f}" for key, value in row.items())
                print(f"{turn + 1}/{repeats} {checkout.name}: {told}", flush=True)
        browser.close()
    return found


def commit(checkout: Path) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="folder of another checkout")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write docs/results/page.md")
    chosen = parser.parse_args()
    checkouts = [*([chosen.against.resolve()] if chosen.against else []), ROOT]
    found = measure(checkouts, chosen.repeats)
    medians = [{k: statistics.median(v) for k, v in numbers.items()} for numbers in found]
    heads = [commit(checkout) for checkout in checkouts]
    rows = [
        [f"{what}, {unit}" if unit else what, *(_short(m[key]) for m in medians)]
        for key, what, unit in NUMBERS
    ]
    table = report.table(["median", *heads], rows)
    print(table)
    if chosen.write:
        write(table, dict(zip(heads, found, strict=True)), chosen)


def write(table: str, data: Any, chosen: argparse.Namespace) -> None:
    """The page of results; what people wrote below the table stays."""
    path = report.FOLDER / "page.md"
    notes = path.read_text("utf-8") if path.exists() else ""
    kept = re.search(r"\n## .*", notes, re.DOTALL)
    text = TEXT.format(repeats=chosen.repeats, table=table)
    report.write("page", "The page", data, text)
    if kept:
        path.write_text(path.read_text("utf-8") + kept[0], "utf-8")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 or value == int(value) else f"{value:.2f}"


if __name__ == "__main__":
    main()
