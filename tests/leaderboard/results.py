"""Results as a runner would write them, without running."""

from __future__ import annotations

from typing import Any

from leaderboard.result import Result, Samples, Score

ENTRY = {
    "model": "var-small",
    "schedule": None,
    "sampling": {"name": "top-k-top-p", "top_k": 100},
    "guidance": {"name": "linear", "scale": 2.5},
    "cache": {"name": "full"},
    "decoding": {"name": "plain"},
    "dtype": "float32",
}


def score(metric: str = "psnr@1", value: float = 20.0, **more: Any) -> Score:
    fields = {"metric": metric, "title": metric, "value": value, "n": 2, "better": "higher"}
    return Score(**{**fields, **more})


def pair(number: int = 0, **changes: Any) -> tuple[Result, Samples]:
    """A result and its samples; another number is another result."""
    samples = Samples(
        tokens=(f"{number:016x}", "0" * 16),
        pixels=("1" * 16, "2" * 16),
        values={"psnr@1": (20.0, 20.0 + number)},
    )
    environment = {"python": "3", "torch": "2", "device": "cpu", "threads": 1, "package": "0"}
    fields = {
        "suite": "smoke",
        "protocol": "smoke v1 0123abcd",
        "entry": ENTRY,
        "weights": {"var-small": "a" * 64},
        "n": 2,
        "scores": (score(value=20.0 + number / 2),),
        "samples_sha256": samples.digest,
        "environment": environment,
        "batch": 1,
        "created": f"2026-01-01T00:00:{number % 60:02d}Z",
    }
    return Result(**{**fields, **changes}), samples
