"""Many runs, and runs that nobody waits for, leave nothing behind."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable

import pytest

from var_spaces import RunSpec
from var_spaces.ui.form.form import Form
from var_spaces.ui.run import handlers

FORM = Form("generate")
RUNS = int(os.environ.get("LONG_RUNS", "60"))  # LONG_RUNS=200 is the longer look
MIB = 2**20
pytestmark = pytest.mark.usefixtures("models")


def values(seed: int) -> list:
    return FORM.values(RunSpec(model="tiny-styled", inputs={"class": "cat"}, seed=seed))


def whole(seed: int) -> None:
    *_, last = handlers.run(FORM, values(seed))
    assert last.phase == "done"


def left(seed: int) -> None:
    """As when the browser is closed in the middle of a run."""
    views = handlers.run(FORM, values(seed))
    for _ in range(3):
        assert next(views).phase in ("loading", "running")
    views.close()


def refused(seed: int) -> None:
    *_, last = handlers.run(FORM, {**values(seed), "task": "no such task"})
    assert last.phase == "failed"


@pytest.mark.parametrize("draw", [whole, left, refused])
def test_memory_does_not_grow(draw: Callable[[int], None]):
    for seed in range(5):  # models, caches and counters
        draw(seed)
    gc.collect()
    tracemalloc.start()
    try:
        for seed in range(5):
            draw(seed)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for seed in range(RUNS):
            draw(seed)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < MIB / 4
