"""Where runs happen: on the device of this computer or, in a ZeroGPU Space, on a borrowed GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.queue.limits import Limits

Function = TypeVar("Function", bound=Callable)

REFUSED = 5  # seconds: enough to say why


def on_gpu(function: Function, specs: Callable[..., Iterable[RunSpec]] | None = None) -> Function:
    """Decorator: let a generator function run where the GPU is.

    There it runs in a process of its own, so what it takes and yields must survive pickling.
    ``app.py`` imports the package ``spaces`` if it is there; elsewhere the function stays as it is.

    Args:
        specs: the runs that a call of the function draws, from the same arguments; the less GPU
            time they need, the sooner it is their turn. Without it the longest time is asked for.
    """
    spaces = sys.modules.get("spaces")
    if spaces is None:
        return function

    def duration(*arguments: Any, **named: Any) -> int:
        return seconds(specs(*arguments, **named)) if specs else most()

    return spaces.GPU(duration=duration)(function)


def most() -> int:
    """The longest that a call may take, in seconds."""
    return Limits.from_environment().max_run_seconds


def seconds(specs: Iterable[RunSpec]) -> int:
    """GPU seconds to ask for; specs that will be refused need next to nothing."""
    from var_spaces.tasks.plan import plan
    from var_spaces.zoo.duration import gpu_seconds

    total = 0
    try:
        for planned in map(plan, specs):
            spec, schedule = planned.spec, planned.schedule
            rows = spec.count * len(planned.guidance.rows(schedule))
            total += gpu_seconds(planned.card, schedule, rows, spec.count, planned.decoding)
    except VarSpacesError:
        return REFUSED
    return min(total, most())
