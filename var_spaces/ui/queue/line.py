"""The line in which all runs wait for the one device, and how much of it one visitor may take.

A visitor is a page that is open (gradio's session); how many runs start is counted by address, as
pages are easily opened. Gradio has no such limits, so the line looks at who wants to join.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import gradio as gr
from fastapi import HTTPException, Request
from gradio.queueing import Event, EventQueue

from var_spaces.ui.queue.limits import Limits
from var_spaces.ui.words import plural

LANE_ID = "gpu"
# Runs of all tabs and of the API wait in one line for the one device there is.
LANE = {"concurrency_id": LANE_ID, "concurrency_limit": 1}
HOUR = 3600.0
MAX_ADDRESSES = 10_000  # that are remembered, the latest


def waiting(page: gr.Blocks) -> list[Event]:
    """Runs that wait."""
    lane = _lane(page)
    return list(lane.queue) if lane else []


def running(page: gr.Blocks) -> list[Event]:
    """Runs that are drawn now."""
    jobs = [event for job in page._queue.active_jobs if job for event in job]
    return [event for event in jobs if event.concurrency_id == LANE_ID]


def longest(page: gr.Blocks) -> float:
    """Seconds for which the oldest of the active runs has been drawn."""
    lane = _lane(page)
    starts = [min(times) for times in lane.start_times_per_fn.values() if times] if lane else []
    return max(0.0, time.time() - min(starts)) if starts else 0.0


def _lane(page: gr.Blocks) -> EventQueue | None:
    return page._queue.event_queue_per_concurrency_id.get(LANE_ID)


class Guard:
    """Stands at the line of a page that has one, and sends away whoever takes too much of it."""

    def __init__(
        self, page: gr.Blocks, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.page, self.limits, self.clock = page, limits, clock
        self._starts: OrderedDict[str, deque[float]] = OrderedDict()
        self._push = page._queue.push
        page._queue.push = self._join

    async def _join(self, body: Any, request: Request, username: str | None) -> tuple:
        function = self.page.fns.get(body.fn_index)
        if function is not None and function.concurrency_id == LANE_ID:
            refused = self.refusal(body.session_hash, address(request))
            if refused:
                raise HTTPException(429, refused)
        return await self._push(body=body, request=request, username=username)

    def refusal(self, session: str | None, place: str) -> str | None:
        """Why somebody has to wait before joining; None if not, and then it counts."""
        there = (*waiting(self.page), *running(self.page))
        mine = [event for event in there if event.session_hash == session]
        most = self.limits.max_waiting_each
        if len(mine) >= most:
            return f"You have {plural(most, 'run')} in the line already: wait for one, or stop it."
        now, hourly = self.clock(), self.limits.max_runs_per_hour
        starts = self._starts.setdefault(place, deque())
        self._starts.move_to_end(place)
        while len(self._starts) > MAX_ADDRESSES:
            self._starts.popitem(last=False)
        while starts and starts[0] <= now - HOUR:
            starts.popleft()
        if len(starts) >= hourly:
            minutes = max(1, round((starts[0] + HOUR - now) / 60))
            return (
                f"{plural(hourly, 'run')} in an hour is all one visitor can have here: come back "
                f"in {plural(minutes, 'minute')}."
            )
        starts.append(now)
        return None


def address(request: Request) -> str:
    """Where a request comes from; inside a Space, what its proxy says about that."""
    forwarded = request.headers.get("x-forwarded-for", "") if "SPACE_ID" in os.environ else ""
    first = forwarded.partition(",")[0].strip()[:64]
    return first or (request.client.host if request.client else "")
