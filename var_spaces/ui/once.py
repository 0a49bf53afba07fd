"""Work that many visitors ask for at once is done once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from threading import Lock
from typing import Any


def once(most: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Remember what a function returned for its latest arguments, which are hashable.

    ``lru_cache`` alone lets everyone who asks before the first answer do the work again, side by
    side; here they wait for that answer. What is raised is not remembered.

    Args:
        most: answers that are kept, at least 1.
    """

    def remembering(function: Callable[..., Any]) -> Callable[..., Any]:
        lock, kept = Lock(), lru_cache(maxsize=most)(function)

        @wraps(function)
        def call(*arguments: Hashable) -> Any:
            with lock:
                return kept(*arguments)

        return call

    return remembering
