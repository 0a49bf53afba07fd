"""The line in which all runs wait for the one device, and how much of it one visitor may take.

A visitor is a page that is open (gradio's session); how many runs start is counted by address, as
pages are easily opened. Gradio has no such limits, so the line looks at who wants to join.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import gradio as gr
from fastapi import HTTPException, Request
from gradio.queueing import Event, EventQueue

from var_spaces.remote.address import ENGINE_VARIABLE
from var_spaces.ui.queue.limits import Limits
from var_spaces.ui.queue.sessions import LOST, Sessions, asked_for
from var_spaces.ui.server.address import address
from var_spaces.ui.server.files import misplaced
from var_spaces.ui.server.hourly import Hourly
from var_spaces.ui.words import plural

LANE_ID, HERE_ID = "gpu", "gpu-here"
LANES = (LANE_ID, HERE_ID)
# Runs of all tabs and of the API wait in one line: for the one device that there is, or for an
# engine elsewhere, which has a line of its own.
ELSEWHERE = 64  # runs at once
BESIDE = 40  # all other events at once
OTHERS = 1000  # of them that may wait, whoever asks: gradio's own bound counts them and the runs
MOST_UNREAD = 64  # sessions whose results nobody comes for, the latest; of them
UNREAD_SECONDS, FEWEST_SECONDS = 600.0, 5.0  # those for so long at most, all others at least
_engine = bool(os.environ.get(ENGINE_VARIABLE))
LANE = {"concurrency_id": LANE_ID, "concurrency_limit": ELSEWHERE if _engine else 1}
# Trainings are never sent elsewhere: one at a time, in the line of runs if these are drawn here.
HERE = {"concurrency_id": HERE_ID, "concurrency_limit": 1} if _engine else LANE


def at_once() -> int:
    """Events that may be worked on at once: each takes a thread and one of gradio's places for
    jobs, so that runs, however many an engine draws, leave room for everything else."""
    lanes = {lane["concurrency_id"]: lane["concurrency_limit"] for lane in (LANE, HERE)}
    return sum(lanes.values()) + BESIDE


def waiting(page: gr.Blocks) -> list[Event]:
    """Runs that wait."""
    return [event for lane in _lanes(page) for event in lane.queue]


def running(page: gr.Blocks) -> list[Event]:
    """Runs that are drawn now."""
    jobs = [event for job in page._queue.active_jobs if job for event in job]
    return [event for event in jobs if event.concurrency_id in LANES]


def longest(page: gr.Blocks) -> float:
    """Seconds for which the oldest of the active runs has been drawn."""
    times = [each for lane in _lanes(page) for each in lane.start_times_per_fn.values()]
    starts = [min(each) for each in times if each]
    return max(0.0, time.time() - min(starts)) if starts else 0.0


def _lanes(page: gr.Blocks) -> list[EventQueue]:
    known = page._queue.event_queue_per_concurrency_id
    return [known[name] for name in LANES if name in known]


class Guard:
    """Stands at the line of a page that has one, and sends away whoever takes too much of it."""

    def __init__(
        self, page: gr.Blocks, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.page, self.limits = page, limits
        self.starts = Hourly(limits.max_runs_per_hour, "run", clock)
        self.clock = clock
        self._unread: dict[str, tuple[Any, float]] = {}
        self.sessions = Sessions(page)
        self._push = page._queue.push
        page._queue.push = self._join

    async def _join(self, body: Any, request: Request, username: str | None) -> tuple:
        self.forget()
        function = asked_for(self.page, body.session_hash, body.fn_index)
        if function is None:
            raise HTTPException(404, LOST)
        place = address(request)
        if body.session_hash:
            self.sessions.note(body.session_hash, place)
        refused = misplaced(function.inputs, body.data)
        if refused:
            raise HTTPException(422, refused)
        if function.concurrency_id in LANES:
            refused = self.refusal(body.session_hash, place)
        else:
            refused = self.other(place)
        if refused:  # not 503, for which gradio's script has words of its own
            raise HTTPException(429, refused)
        return await self._push(body=body, request=request, username=username)

    def refusal(self, session: str | None, place: str) -> str | None:
        """Why somebody has to wait before joining; None if not, and then it counts."""
        there = (*waiting(self.page), *running(self.page))
        mine = sum(event.session_hash == session for event in there)
        most = self.limits.max_waiting_each
        if mine >= most:
            return f"You have {plural(most, 'run')} in the line already: wait for one, or stop it."
        # A visitor invents the name of a session, so pages of one address are counted, too.
        near, most = sum(address(event.request) == place for event in there), self.together
        if near >= most:
            return (
                f"{plural(most, 'run')} from your address are in the line already: wait for one, "
                "or stop it."
            )
        most = self.limits.max_waiting
        if len(waiting(self.page)) >= most:
            return (
                f"{plural(most, 'run')} of all visitors are in the line already, and it is full: "
                "try again in a minute."
            )
        return self.starts.refusal(place)

    def other(self, place: str) -> str | None:
        """The same for what is no run: it has no line, so it is counted by address alone."""
        queue, most = self.page._queue, self.limits.max_requests_address
        there = [
            event for lane in queue.event_queue_per_concurrency_id.values() for event in lane.queue
        ]
        there += [event for job in queue.active_jobs if job for event in job]
        mine = (e for e in there if e.concurrency_id not in LANES and address(e.request) == place)
        if sum(1 for _ in mine) >= most:
            return (
                f"{plural(most, 'request')} from your address are not answered yet: wait for one."
            )
        return None

    def forget(self) -> None:
        """Let go of what nobody comes for: results of runs that have ended, with their pictures.

        Gradio keeps those of 2000 sessions, however large. Who listens takes one message after the
        other, so a session is left where the first one has not changed since.
        """
        queue, now = self.page._queue, self.clock()
        before, self._unread = self._unread, {}
        for session, messages in queue.pending_messages_per_session.items():
            events = queue.pending_event_ids_session.get(session, ())
            if messages.empty() or any(event in queue.event_ids_to_events for event in events):
                continue
            first = messages._queue[0]
            known = before.get(session)
            self._unread[session] = known if known and known[0] is first else (first, now)
        latest = sorted(self._unread, key=lambda session: -self._unread[session][1])
        for number, session in enumerate(latest):
            age = now - self._unread[session][1]
            if age > UNREAD_SECONDS or (number >= MOST_UNREAD and age > FEWEST_SECONDS):
                del self._unread[session]
                del queue.pending_messages_per_session[session]
                queue.pending_event_ids_session.pop(session, None)

    @property
    def together(self) -> int:
        return max(self.limits.max_waiting_address, self.limits.max_waiting_each)
