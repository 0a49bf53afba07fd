"""However many runs an engine draws, the page answers all else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore

import gradio as gr
import httpx

from var_spaces.ui.app import launch_options
from var_spaces.ui.queue import line


def test_runs_take_no_thread_that_others_need(models, monkeypatch):
    monkeypatch.setitem(line.LANE, "concurrency_limit", line.ELSEWHERE)
    assert launch_options()["max_threads"] == line.at_once() == line.ELSEWHERE + line.BESIDE
    begun, ending = Semaphore(0), Event()

    def run() -> None:
        begun.release()
        assert ending.wait(600)

    def quick() -> int:
        return 7

    with gr.Blocks(analytics_enabled=False) as page:
        gr.api(run, api_name="run", **line.LANE)
        gr.api(quick, api_name="quick")
    page.queue()
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, max_threads=line.at_once(), server_name="127.0.0.1"
    )

    def call(name: str) -> str:
        started = httpx.post(f"{url}gradio_api/call/{name}", json={"data": []}, timeout=600)
        return started.json()["event_id"]

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, ["run"] * (line.ELSEWHERE + 1)))
        assert all(begun.acquire(timeout=600) for _ in range(line.ELSEWHERE))
        answer = httpx.get(f"{url}gradio_api/call/quick/{call('quick')}", timeout=600)
        assert "data: [7]" in answer.text
        assert not begun.acquire(blocking=False)  # one run waits
    finally:
        ending.set()
        page.close()
