"""VAR Spaces: run, inspect, accelerate and compare visual autoregressive image models.

Importing this package is free: torch, pydantic and the models load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from var_spaces.api import generate, load, stream
    from var_spaces.schedule import ScaleSchedule
    from var_spaces.spec import RunSpec

__version__ = "0.1.0"
__all__ = ["RunSpec", "ScaleSchedule", "generate", "load", "stream"]

_HOMES = {
    "RunSpec": "spec",
    "ScaleSchedule": "schedule",
    "generate": "api",
    "load": "api",
    "stream": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'var_spaces' has no attribute {name!r}")
    return getattr(import_module(f"var_spaces.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
