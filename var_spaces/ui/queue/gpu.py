"""Where runs happen: on the device of this computer or, in a ZeroGPU Space, on a borrowed GPU."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.queue.limits import Limits
from var_spaces.zoo.places import personal, personal_folders

Function = TypeVar("Function", bound=Callable)

REFUSED = 5  # seconds: enough to say why


def on_gpu(
    function: Function,
    specs: Callable[..., Iterable[RunSpec]] | None = None,
    longest: Callable[[], int] | None = None,
) -> Function:
    """Decorator: let a function, or a generator function, run where the GPU is.

    There it runs in a process of its own, so what it takes and yields must survive pickling.
    ``app.py`` imports the package ``spaces`` if it is there; elsewhere the function stays as it is.

    Args:
        specs: the runs that a call of the function draws, from the same arguments; the less GPU
            time they need, the sooner it is their turn. Without it the longest time is asked for.
        longest: seconds that a call may take; without it those of a run.
    """
    spaces = sys.modules.get("spaces")
    if spaces is None:
        return function

    def duration(folders: Sequence[Path], *arguments: Any, **named: Any) -> int:
        with personal(folders):
            return seconds(specs(*arguments, **named)) if specs else (longest or most)()

    def there(folders: Sequence[Path], *arguments: Any, **named: Any) -> Any:
        with personal(folders):  # the other process does not know for whom it works
            return function(*arguments, **named)

    def stream_there(folders: Sequence[Path], *arguments: Any, **named: Any) -> Iterator[Any]:
        with personal(folders):
            yield from function(*arguments, **named)

    streams = inspect.isgeneratorfunction(function)
    borrowed = spaces.GPU(duration=duration)(stream_there if streams else there)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return borrowed(personal_folders(), *arguments, **named)

    return call


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
            guiding = planned.decoding.guidances(planned.guidance).values()
            rows = spec.count * max(len(guidance.rows(schedule)) for guidance in guiding)
            total += gpu_seconds(planned.card, schedule, rows, spec.count, planned.decoding)
    except VarSpacesError:
        return REFUSED
    return min(total, most())
