"""How much of something one address may have within an hour."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import cache

from var_spaces.errors import VarSpacesError
from var_spaces.ui.queue.limits import Limits
from var_spaces.ui.words import plural

HOUR = 3600.0
MAX_ADDRESSES = 10_000  # that are remembered, the latest
TOGETHER = 3.0  # seconds: what comes within them is remembered as one


class Hourly:
    """Counts by address; safe to use from several threads.

    Args:
        most: in an hour.
        what: is counted, singular: "run".
    """

    def __init__(self, most: float, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.what, self.clock = most, what, clock
        self._taken: OrderedDict[str, deque[tuple[float, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def refusal(self, place: str, amount: float = 1) -> str | None:
        """Why an address gets no more now; None if it does, and then it counts."""
        with self._lock:
            now = self.clock()
            taken = self._taken.setdefault(place, deque())
            self._taken.move_to_end(place)
            while len(self._taken) > MAX_ADDRESSES:
                self._taken.popitem(last=False)
            while taken and taken[0][0] <= now - HOUR:
                taken.popleft()
            if sum(size for _, size in taken) + amount > self.most:
                first = taken[0][0] if taken else now
                minutes = max(1, round((first + HOUR - now) / 60))
                return (
                    f"{plural(int(self.most), self.what)} in an hour is all one visitor can have "
                    f"here: come back in {plural(minutes, 'minute')}."
                )
            if taken and taken[-1][0] // TOGETHER == now // TOGETHER:
                amount += taken.pop()[1]
            taken.append((now, amount))
            return None

    def take(self, place: str, amount: float = 1) -> None:
        """Count it.

        Raises:
            VarSpacesError: if it is too much.
        """
        refused = self.refusal(place, amount)
        if refused:
            raise VarSpacesError(refused)


def shared(limit: str, what: str) -> Hourly:
    """The one count of a limit for all pages: tabs are built anew for whoever opens them.

    Args:
        limit: field of :class:`~var_spaces.ui.queue.limits.Limits`.
    """
    return _shared(getattr(Limits.from_environment(), limit), what)


@cache
def _shared(most: int, what: str) -> Hourly:
    return Hourly(most, what)
