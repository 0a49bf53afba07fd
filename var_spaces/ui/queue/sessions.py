"""What gradio keeps of every page that is open, and whose it is that goes when it is too much.

A session holds the tabs that a visitor opened and what they hold. Its name is an invention of its
sender, and one request is all that it takes: so of too many, the address that has the most of them
loses the one that it used longest ago, and nobody pushes out the page of somebody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.queueing import Event

from var_spaces.ui.server.address import address

MOST = 1000  # sessions that are kept
CAPACITY = 2 * MOST  # what gradio is told, which would drop the oldest of all
LOST = "This page was left alone for too long, or asks for what is not there: reload it."


def asked_for(page: gr.Blocks, session: str | None, number: int | None) -> BlockFunction | None:
    """What an event means; tabs that a visitor opened have functions of their own.

    Gradio's own way to look makes a session, and raises what nobody answers.
    """
    state = page.state_holder.session_data.get(session or "")
    return (state.blocks_config if state else page).fns.get(number)


class Sessions:
    """The sessions of a page that has a line.

    Args:
        most: of them that are kept.
    """

    def __init__(self, page: gr.Blocks, most: int = MOST) -> None:
        self.page, self.most = page, most
        self._places: dict[str, str] = {}
        page.process_api = self._noted(page.process_api)
        page._queue.process_events = self._forgotten(page._queue.process_events)

    def note(self, session: str, place: str) -> None:
        """A session does something: whose it is, and room for it."""
        kept = self.page.state_holder.session_data  # the one that was used longest ago first
        if session in kept:
            self._places[session] = place
        if len(kept) <= self.most:
            return
        for gone in self._places.keys() - kept.keys():
            del self._places[gone]
        while len(kept) > self.most:
            owners = [self._places.get(each, "") for each in list(kept)]
            (greedy, _), *_ = Counter(owners).most_common(1)
            self.drop(list(kept)[owners.index(greedy)])

    def drop(self, session: str) -> None:
        """Forget a session and all that it holds."""
        holder = self.page.state_holder
        with holder.lock:
            state = holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)
        self._places.pop(session, None)
        if state is None:
            return
        # Gradio remembers for ever how long each function took, and with it the tab that it is of.
        own = state.blocks_config.fns
        for number in own.keys() - self.page.fns.keys():
            self.page._queue.process_time_per_fn.pop(own[number], None)

    def _noted(self, real: Callable) -> Callable:
        @wraps(real)
        async def process(*arguments: Any, **named: Any) -> Any:
            session, request = named.get("session_hash"), named.get("request")
            if session and isinstance(request, gr.Request):
                self.note(session, address(request.request))
            return await real(*arguments, **named)

        return process

    def _forgotten(self, real: Callable) -> Callable:
        """A program that asks through ``call`` has no page: gradio names a session after its event,
        and nobody comes back to it."""

        @wraps(real)
        async def process(events: Iterable[Event], *arguments: Any, **named: Any) -> None:
            try:
                await real(events, *arguments, **named)
            finally:
                for event in events:
                    if event.session_hash == event._id:
                        self.drop(event._id)

        return process
