"""The page as a process of its own: it starts, is told to end in the middle of a run, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}health", timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_page_that_is_told_to_end_ends_and_leaves_nothing(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(tmp_path)}
    environment |= {"VAR_SPACES_LEADERBOARD": str(tmp_path / "store"), "HF_HUB_OFFLINE": "1"}
    environment.pop("GRADIO_TEMP_DIR", None)
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 240
        while not answers(url):
            assert process.poll() is None and time.monotonic() < end
        assert list(tmp_path.glob("var-spaces-*"))
        body = {"model": "var-small", "class_": "key", "count": 64}
        event = httpx.post(f"{url}gradio_api/call/v2/generate", json=body, timeout=60).json()
        address = f"{url}gradio_api/call/generate/{event['event_id']}"
        with httpx.stream("GET", address, timeout=60) as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event: generating"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
        assert not list(tmp_path.glob("var-spaces-*"))
    finally:
        process.kill()
