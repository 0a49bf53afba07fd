"""One device, many requests: those that can share a batch are drawn together, in turn.

Whoever waits longest comes first, and with it all others of the same model, schedule and methods,
up to a number of images. They walk through the scales together (``tasks/together.py``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import closing
from dataclasses import dataclass
from threading import Condition, Thread

from var_spaces.events import Event
from var_spaces.tasks.prepare import Request
from var_spaces.tasks.together import company, together
from var_spaces.zoo.placement import Placement
from var_spaces.zoo.residency import Residency

log = logging.getLogger(__name__)

# An event, why the run ends early, and None after its last word.
Tell = Callable[[Event | Exception | None], None]


@dataclass(eq=False)
class Ticket:
    """A request in the line.

    Attributes:
        company: see :func:`var_spaces.tasks.together.company`.
        gone: nobody waits for it any more.
    """

    request: Request
    tell: Tell
    company: Hashable | None
    gone: bool = False

    def leave(self) -> None:
        """Stop it: its rows leave the batch at the next scale."""
        self.gone = True

    def say(self, word: Event | Exception | None) -> None:
        """Tell it. Who cannot be told is gone; the others of the batch go on."""
        try:
            self.tell(word)
        except Exception:
            self.leave()
            log.exception("A run could not be told")

    @property
    def images(self) -> int:
        return self.request.plan.spec.count


class Batcher:
    """Draws requests in a thread of its own.

    Args:
        most: images that are drawn together; a request of more is drawn alone.
        pause: seconds that an idle device waits for company of the first who comes.
    """

    def __init__(
        self, zoo: Residency, device: Placement | None = None, most: int = 8, pause: float = 0.01
    ) -> None:
        self.zoo, self.device, self.most, self.pause = zoo, device, most, pause
        self._line: deque[Ticket] = deque()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._work, daemon=True, name="batcher")
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still draws."""
        return self._thread.is_alive()

    def submit(self, request: Request, tell: Tell) -> Ticket:
        """Join the line.

        Args:
            tell: called from the thread that draws.
        """
        ticket = Ticket(request, tell, company(request))
        with self._changed:
            self._line.append(ticket)
            self._changed.notify_all()
        return ticket

    def close(self) -> None:
        """Draw what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while tickets := self._next():
            try:
                self._draw(tickets)
            except Exception as error:
                for ticket in tickets:
                    ticket.say(error)
            for ticket in tickets:
                ticket.say(None)

    def _draw(self, tickets: list[Ticket]) -> None:
        requests = [ticket.request for ticket in tickets]
        with closing(
            together(requests, self.zoo, self.device, lambda number: tickets[number].gone)
        ) as told:
            for number, event in told:
                tickets[number].say(event)

    def _next(self) -> list[Ticket]:
        """Tickets of the next batch; none when it is over."""
        taken: list[Ticket] = []
        with self._changed:
            while not taken and (self._line or not self._closed):
                if not self._line:
                    self._changed.wait_for(lambda: self._line or self._closed)
                    if self._line and self._line[0].company is not None:
                        self._changed.wait_for(self._full, self.pause)
                for ticket in [ticket for ticket in self._line if ticket.gone]:
                    self._line.remove(ticket)
                    ticket.say(None)
                taken = self._company()
                for ticket in taken:
                    self._line.remove(ticket)
        return taken

    def _company(self) -> list[Ticket]:
        """The first in the line, and all who can be drawn with it."""
        if not self._line:
            return []
        first = self._line[0]
        taken, images = [first], first.images
        for ticket in list(self._line)[1:] if first.company is not None else ():
            if ticket.company == first.company and images + ticket.images <= self.most:
                taken.append(ticket)
                images += ticket.images
        return taken

    def _full(self) -> bool:
        return sum(ticket.images for ticket in self._company()) >= self.most
