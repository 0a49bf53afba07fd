"""Processes that end in time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

GRACE = 30.0  # seconds that a process gets to put its things away
TIMED_OUT = 124


def bounded(command: Sequence[str], seconds: float, log: Path, folder: Path) -> tuple[int, str]:
    """Exit code of a command, 124 if it had to be stopped, and the last line that it printed, at
    most 160 characters.

    Args:
        log: takes what it prints, behind what is there.
        folder: to run it in.
    """
    code = _waited(command, seconds, log, folder)
    printed = log.read_text("utf-8", "replace").strip()
    return code, printed.rpartition("\n")[2][:160]


def _waited(command: Sequence[str], seconds: float, log: Path, folder: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        # A group of its own, so that what it starts ends with it.
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return TIMED_OUT
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
