"""Battles that wait for their vote: each takes one, whoever sends it how often.

The server remembers them, so a vote can only be about a battle that was drawn here.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from var_spaces.compare.battle import Battle
from var_spaces.errors import VarSpacesError

MOST = 10_000  # battles that wait; the oldest are forgotten first
AGE = 3600.0  # seconds


class Rounds:
    """Safe to use from several threads."""

    def __init__(
        self, most: int = MOST, age: float = AGE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most, self.age, self.clock = most, age, clock
        self._open: OrderedDict[str, tuple[float, Battle]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, battle: Battle) -> str:
        """Remember a battle; what is returned is the right to one vote on it."""
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._open[ticket] = (self.clock(), battle)
            while len(self._open) > self.most:
                self._open.popitem(last=False)
        return ticket

    def vote(self, ticket: str | None, keep: Callable[[Battle], None]) -> Battle:
        """Use a ticket: keep the vote, or give the ticket back if that fails.

        Args:
            keep: writes the vote down.

        Raises:
            VarSpacesError: for a ticket that is used, unknown or too old.
        """
        with self._lock:
            since, battle = self._open.pop(ticket or "", (0.0, None))
        if battle is None or self.clock() - since > self.age:
            raise VarSpacesError("There is nothing to vote on: press New battle.")
        try:
            keep(battle)
        except BaseException:
            with self._lock:
                self._open[ticket] = (since, battle)
            raise
        return battle
