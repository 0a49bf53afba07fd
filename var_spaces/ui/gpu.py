"""Where runs happen: on the device of this computer or, in a ZeroGPU Space, on a borrowed GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable)

MAX_SECONDS = 60


def on_gpu(function: Function) -> Function:
    """Let a generator function run where the GPU is.

    ``app.py`` imports the package ``spaces`` if it is there; elsewhere the function stays as it is.
    """
    spaces = sys.modules.get("spaces")
    return spaces.GPU(function, duration=MAX_SECONDS) if spaces else function
