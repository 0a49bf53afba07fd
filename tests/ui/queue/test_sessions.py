"""Sessions: programs leave none, too many of one address push out nobody else, lost ones say so."""

from __future__ import annotations

from copy import copy
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from gradio.state_holder import StateHolder

from tests.coroutines import finished
from var_spaces.ui.app import launch_options
from var_spaces.ui.queue.sessions import CAPACITY, LOST, MOST, Sessions, asked_for


@pytest.fixture
def page() -> gr.Blocks:
    """A page with a line, as if it was served."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button().click(lambda: None)
    page.queue()
    page.state_holder = StateHolder()
    page.state_holder.blocks = page
    return page


def test_an_address_pushes_out_only_its_own(page):
    sessions, held = Sessions(page, most=4), page.state_holder
    for name, place in (("visitor", "a"), ("other", "b")):
        held[name]
        sessions.note(name, place)
    for number in range(20):
        held[f"greedy-{number}"]
        sessions.note(f"greedy-{number}", "c")
    assert list(held.session_data) == ["visitor", "other", "greedy-18", "greedy-19"]
    assert set(held.time_last_used) == set(held.session_data)


def test_sessions_of_nobody_go_first(page):
    """Gradio makes some before it knows whether it does anything for them."""
    sessions, held = Sessions(page, most=3), page.state_holder
    held["visitor"]
    sessions.note("visitor", "a")
    for number in range(9):
        held[f"nobody-{number}"]
    sessions.note("visitor", "a")
    assert list(held.session_data) == ["visitor", "nobody-7", "nobody-8"]


def test_what_a_program_asked_leaves_no_session(page):
    ended = []

    async def process_events(events, *_):
        for event in events:
            page.state_holder[event.session_hash]
        ended.append(len(page.state_holder.session_data))

    page._queue.process_events = process_events
    Sessions(page)
    own, opened = (SimpleNamespace(_id="e1", session_hash=name) for name in ("e1", "opened"))
    finished(page._queue.process_events([own], False))
    finished(page._queue.process_events([opened], False))
    assert ended == [1, 1]
    assert list(page.state_holder.session_data) == ["opened"]


def test_tabs_of_who_is_gone_are_let_go(page):
    sessions, times = Sessions(page), page._queue.process_time_per_fn
    (shared,) = page.fns.values()
    own = copy(shared)
    page.state_holder["gone"].blocks_config.fns[77] = own
    for function in (shared, own):
        times[function].add(1.0)
    sessions.drop("gone")
    assert list(times) == [shared]
    sessions.drop("never was")


def test_looking_for_an_event_makes_no_session(page):
    (number,) = page.fns
    assert asked_for(page, "new", number) is page.fns[number]
    assert asked_for(page, None, number) is page.fns[number]
    assert asked_for(page, "new", 10**9) is None
    assert not page.state_holder.session_data


def test_gradio_does_not_choose_who_goes(models):
    assert launch_options()["state_session_capacity"] == CAPACITY > MOST


# --- the page as it is served ---------------------------------------------------------------------


def test_events_that_are_not_there_are_refused_in_one_line(served):
    for place in ("queue/join", "run/predict", "api/predict"):
        for number in (10**9, -1):
            body = {"data": [], "fn_index": number, "session_hash": "lost"}
            answer = httpx.post(f"{served}gradio_api/{place}", json=body, timeout=60)
            assert (answer.status_code, answer.json()) == (404, {"detail": LOST})
    answer = httpx.post(f"{served}gradio_api/run/nothing", json={"data": []}, timeout=60)
    assert (answer.status_code, "No endpoint" in answer.text) == (404, True)
    answer = httpx.post(f"{served}gradio_api/run/models", json={"data": []}, timeout=60)
    assert (answer.status_code, "in turn" in answer.text) == (404, True)


def test_a_session_is_no_parameter(served):
    for session in (5, ["a"], "a"):
        body = {"model": "tiny-styled", "session_hash": session}
        answer = httpx.post(f"{served}gradio_api/call/v2/generate", json=body, timeout=60)
        assert answer.status_code == 422
        assert "no parameter 'session_hash'" in answer.text


def test_programs_leave_no_session(served, page_of):
    before = set(page_of.state_holder.session_data)
    for _ in range(3):
        started = httpx.post(f"{served}gradio_api/call/v2/models", json={}, timeout=60)
        event = started.json()["event_id"]
        answer = httpx.get(f"{served}gradio_api/call/models/{event}", timeout=60)
        assert "event: complete" in answer.text
    events = page_of._queue.event_ids_to_events
    while event in events:  # told before it is put away
        httpx.get(f"{served}health", timeout=60)
    httpx.get(f"{served}health", timeout=60)
    assert set(page_of.state_holder.session_data) == before
