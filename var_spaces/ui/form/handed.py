"""Pictures that visitors' runs were drawn from, for the tab that shows such a run next.

A run spec names its pictures by content, and goes around in links. The pixels stay here for a
while, for the session that handed them in and for no other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING

from var_spaces.ui.queue.limits import MIB

if TYPE_CHECKING:
    import numpy as np


class Handed:
    """Pixels by session and content hash; the ones that were used longest ago leave first.

    Args:
        each: bytes of one session.
        most: bytes of all.
    """

    def __init__(self, each: int = 64 * MIB, most: int = 512 * MIB) -> None:
        self.each, self.most = each, most
        self._held: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def keep(self, session: str, pictures: Mapping[str, np.ndarray]) -> None:
        """Keep pictures by content hash; nothing for who has no session."""
        if not session:
            return
        with self._lock:
            for key, pixels in pictures.items():
                self._held[session, key] = pixels
                self._held.move_to_end((session, key))
            mine = [place for place in self._held if place[0] == session]
            while sum(self._held[place].nbytes for place in mine) > self.each:
                del self._held[mine.pop(0)]
            while sum(pixels.nbytes for pixels in self._held.values()) > self.most:
                self._held.popitem(last=False)

    def of(self, session: str) -> dict[str, np.ndarray]:
        """All pictures of a session by content hash."""
        with self._lock:
            return {key: pixels for (whose, key), pixels in self._held.items() if whose == session}


HANDED = Handed()
