"""What the property tests of readers share: how many examples, and a bound on memory."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings

FUZZ_VARIABLE = "VAR_SPACES_FUZZ"  # set by pytest --fuzz N


def examples() -> Callable:
    """Settings of a property test: the same 200 examples at every run, or N new ones."""
    asked = int(os.environ.get(FUZZ_VARIABLE, 0))
    return settings(
        max_examples=asked or 200,
        derandomize=not asked,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def bounded(mebibytes: int) -> Iterator[None]:
    """Fail if Python's memory grows by more than so much at any moment of the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mebibytes << 20, f"{peak >> 20} MiB were in use"
