"""Where runs happen: on the device of this computer or, in a ZeroGPU Space, on a borrowed GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable)

MAX_SECONDS = 60


def on_gpu(function: Function) -> Function:
    """Decorator: let a generator function run where the GPU is.

    There it runs in a process of its own, so what it takes and yields must survive pickling.
    ``app.py`` imports the package ``spaces`` if it is there; elsewhere the function stays as it is.
    """
    spaces = sys.modules.get("spaces")
    return spaces.GPU(duration=MAX_SECONDS)(function) if spaces else function
