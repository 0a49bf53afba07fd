"""Limits from the environment, the line they guard, and the web server beside the page."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.events import Started
from var_spaces.spec import RunSpec
from var_spaces.ui.app import build_app, launch_options, main
from var_spaces.ui.compare import grid
from var_spaces.ui.compare.comparing import WHOLE
from var_spaces.ui.form.form import Form
from var_spaces.ui.queue import limits
from var_spaces.ui.queue.limits import MIB, Limits, variable
from var_spaces.ui.queue.line import LANE_ID, OTHERS, Guard
from var_spaces.ui.run import handlers
from var_spaces.ui.server.hourly import HOUR, Hourly

FORM = Form("generate")


@pytest.mark.parametrize("name", [item.name for item in fields(Limits)])
def test_every_limit_has_its_variable(name, monkeypatch):
    monkeypatch.setenv(variable(name), " 7 ")
    assert getattr(Limits.from_environment(), name) == 7
    for bad in ("0", "-1", "1.5", "lots", "²", "9" * 30):
        monkeypatch.setenv(variable(name), bad)
        with pytest.raises(VarSpacesError, match=f"{variable(name)} is .*whole number from 1 to"):
            Limits.from_environment()


def test_limits_reach_the_page(models, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MAX_WAITING", "5")
    monkeypatch.setenv("VAR_SPACES_MAX_UPLOAD_MB", "3")
    assert build_app()._queue.max_size == 5 + OTHERS  # runs are counted by the guard
    assert launch_options()["max_file_size"] == 3 * MIB


def guard(**limits: int) -> tuple[Guard, SimpleNamespace]:
    """A guard of an empty line, and its clock."""
    clock = SimpleNamespace(now=0.0)
    queue = SimpleNamespace(
        push=print, process_events=print, active_jobs=[], event_queue_per_concurrency_id={}
    )
    page = SimpleNamespace(_queue=queue, fns={}, process_api=print)
    return Guard(page, Limits(**limits), lambda: clock.now), clock


def test_runs_per_hour_are_counted_by_address():
    watch, clock = guard(max_runs_per_hour=2)
    assert [watch.refusal("s", "a") for _ in range(2)] == [None, None]
    clock.now = 1800.0
    assert watch.refusal("t", "a") == (
        "2 runs in an hour is all one visitor can have here: come back in 30 minutes."
    )
    assert watch.refusal("s", "b") is None
    clock.now = HOUR
    assert watch.refusal("s", "a") is None


def test_pages_of_one_address_share_the_line():
    """The name of a session is the visitor's own invention."""
    watch, _ = guard(max_waiting_address=4, max_waiting_each=2)
    request = SimpleNamespace(headers={}, client=SimpleNamespace(host="10.0.0.1"))
    event = SimpleNamespace(concurrency_id=LANE_ID, request=request, session_hash="x")
    watch.page._queue.active_jobs = [[event]] * 3
    assert watch.refusal("new", "10.0.0.1") is None
    watch.page._queue.active_jobs = [[event]] * 4
    assert watch.refusal("new", "10.0.0.1").startswith("4 runs from your address")
    assert watch.refusal("new", "10.0.0.2") is None
    assert watch.refusal("x", "10.0.0.2").startswith("You have 2 runs in the line")


def waiting_event(lane: str, place: str) -> SimpleNamespace:
    request = SimpleNamespace(headers={}, client=SimpleNamespace(host=place))
    return SimpleNamespace(concurrency_id=lane, request=request, session_hash=place)


def test_the_line_of_runs_is_full_by_runs_alone():
    watch, _ = guard(max_waiting=3)
    runs = [waiting_event(LANE_ID, f"10.0.0.{number}") for number in range(3)]
    others = [waiting_event("other", f"10.0.1.{number}") for number in range(100)]
    lanes = watch.page._queue.event_queue_per_concurrency_id
    lanes["other"] = SimpleNamespace(queue=others)
    lanes[LANE_ID] = SimpleNamespace(queue=runs[:2])
    assert watch.refusal("s", "10.0.0.9") is None
    lanes[LANE_ID].queue = runs
    assert watch.refusal("s", "10.0.0.9") == (
        "3 runs of all visitors are in the line already, and it is full: try again in a minute."
    )


def test_what_is_no_run_is_bounded_by_address():
    watch, _ = guard(max_requests_address=4)
    queue = watch.page._queue
    queue.event_queue_per_concurrency_id["other"] = SimpleNamespace(
        queue=[waiting_event("other", "10.0.0.1")] * 2
    )
    queue.active_jobs = [None, [waiting_event("another", "10.0.0.1")]]
    queue.active_jobs += [[waiting_event(LANE_ID, "10.0.0.1")]] * 9
    assert watch.other("10.0.0.1") is None
    queue.active_jobs.append([waiting_event("other", "10.0.0.1")])
    assert watch.other("10.0.0.1") == (
        "4 requests from your address are not answered yet: wait for one."
    )
    assert watch.other("10.0.0.2") is None


def test_results_that_nobody_comes_for_are_forgotten():
    watch, clock = guard()
    queue = watch.page._queue
    queue.event_ids_to_events = {"e1": None}
    queue.pending_messages_per_session = {}
    queue.pending_event_ids_session = {}

    def ended(session: str, event: str = "over") -> asyncio.Queue:
        messages = queue.pending_messages_per_session[session] = asyncio.Queue()
        queue.pending_event_ids_session[session] = {event}
        messages.put_nowait(object())
        messages.put_nowait(object())
        return messages

    drawn, heard = ended("drawn", "e1"), ended("heard")
    ended("left")
    queue.pending_messages_per_session["listening"] = asyncio.Queue()
    watch.forget()
    clock.now = 601.0
    heard.get_nowait()
    watch.forget()
    assert sorted(queue.pending_messages_per_session) == ["drawn", "heard", "listening"]
    assert sorted(queue.pending_event_ids_session) == ["drawn", "heard"]
    assert drawn.qsize() == 2

    for number in range(200):
        ended(f"quick-{number}")
    watch.forget()
    assert len(queue.pending_messages_per_session) == 203
    clock.now += 6.0
    watch.forget()
    assert len(queue.pending_messages_per_session) == 2 + 64


def test_a_run_ends_when_its_time_is_over(models, monkeypatch):
    clock = itertools.count(step=30)
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setenv("VAR_SPACES_MAX_RUN_SECONDS", "70")
    values = FORM.values(RunSpec(model="tiny-styled", inputs={"class": "cat"}))
    *views, last = handlers.run(FORM, values)
    assert last.phase == "failed"
    assert "stopped after 70 seconds" in last.message
    assert [view.phase for view in views] == ["loading", "running", "running", "running"]


@pytest.mark.parametrize("paired", [False, True])
def test_waiting_for_a_run_to_begin_is_no_time_of_it(monkeypatch, paired):
    begins, goes_on = Started.__new__(Started), object()  # whatever they hold
    clock = iter([0, 900, 960, 1900, 1960, 2010])
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    events = [begins, goes_on, begins, goes_on, goes_on]
    events = list(enumerate(events)) if paired else events
    heard = []
    with pytest.raises(VarSpacesError, match="stopped after 120 seconds"):
        heard.extend(limits.in_time(events))
    assert heard == events[:4]


def test_a_grid_has_the_time_of_one_run(models, monkeypatch):
    """The clock goes a second per event; a run of a tiny model has seven."""
    clock = itertools.count()
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setenv("VAR_SPACES_MAX_RUN_SECONDS", "16")
    values = WHOLE.values(RunSpec(model="tiny-styled", inputs={"class": "cat"}))
    asked = grid.plan_grid(values, ("seed", "1, 2, 3, 4"))
    done = []
    with pytest.raises(VarSpacesError, match="stopped after 16 seconds"):
        done.extend(len(state.done) for state in grid.run(asked))
    assert done == [1, 2]


# --- the page as it is served ---------------------------------------------------------------------


def join(url: str, session: str, function: int) -> httpx.Response:
    data = list(FORM.values(RunSpec(model="tiny-styled", inputs={"class": "cat"})).values())
    body = {"data": data, "fn_index": function, "session_hash": session}
    return httpx.post(f"{url}gradio_api/queue/join", json=body, timeout=60)


def drawing(url: str) -> int:
    """Number of the event of a run."""
    config = httpx.get(f"{url}config", timeout=60).json()
    named = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
    pressed = [named["generate-next"], "click"]  # by the line of the tab
    events = (d for d in config["dependencies"] if pressed in d["targets"])
    return next(event["id"] for event in events if event["backend_fn"])


def health(url: str) -> dict:
    return httpx.get(f"{url}health", timeout=60).json()


def test_one_visitor_cannot_fill_the_line(served, gate):
    function = drawing(served)
    gate.close()
    try:
        statuses = [join(served, "greedy", function).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        said = join(served, "greedy", function).json()["detail"]
        assert said == "You have 3 runs in the line already: wait for one, or stop it."
        assert join(served, "other", function).status_code == 200
        state = health(served)
        assert state["status"] == "ok"
        assert state["running"] + state["waiting"] == 4
        assert not state.keys() & {"session", "prompt", "path"}
    finally:
        gate.open()
    assert wait(lambda: health(served)["waiting"] == 0)


def test_nobody_stops_the_run_of_somebody_else(served, gate):
    function = drawing(served)
    assert wait(lambda: health(served)["running"] + health(served)["waiting"] == 0)
    gate.close()
    try:
        event = join(served, "mine", function).json()["event_id"]
        assert wait(lambda: health(served)["running"] == 1)
        body = {"session_hash": "theirs", "fn_index": function, "event_id": event}
        answer = httpx.post(f"{served}gradio_api/cancel", json=body, timeout=60)
        assert answer.status_code == 403
        waiting = join(served, "mine", function).json()["event_id"]
        body["event_id"] = waiting
        assert httpx.post(f"{served}gradio_api/cancel", json=body, timeout=60).status_code == 403
        state = health(served)
        assert (state["running"], state["waiting"]) == (1, 1)
        for nonsense in ([1], {"event_id": ["a"], "session_hash": {}}):
            answer = httpx.post(f"{served}gradio_api/cancel", json=nonsense, timeout=60)
            assert answer.status_code in (200, 422)
    finally:
        gate.open()
    assert wait(lambda: health(served)["running"] == 0)


def wait(condition) -> bool:
    """Whether something becomes true within a minute."""
    end = time.monotonic() + 60
    while not (reached := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return reached


def test_health_counts_models_and_is_a_plain_get(served):
    answer = httpx.get(f"{served}health", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["models"] == 2


def test_nobody_goes_around_the_line(served):
    data = FORM.values(RunSpec(model="tiny-styled", inputs={"class": "cat"}))
    body = {"data": list(data.values())}
    for path in ("run/generate", "api/generate"):
        answer = httpx.post(f"{served}gradio_api/{path}", json=body, timeout=60)
        assert answer.status_code >= 400
        assert "data:image" not in answer.text


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("place", ["queue/join", "call/v2/models", "component_server", "cancel"])
def test_large_requests_are_refused_while_they_arrive(served, place, kind):
    def stream():
        yield b'{"data": ["'
        for _ in range(64):
            yield b"x" * MIB
        yield b'"], "session_hash": "s", "fn_index": 0}'

    address, headers = f"{served}gradio_api/{place}", {"content-type": kind}
    answer = httpx.post(address, content=stream(), headers=headers, timeout=60)
    assert answer.status_code == 413
    assert "at most 4 MB" in answer.text


# --- docs/deploy.md -------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_every_variable_is_in_the_table():
    table = set(re.findall(r"VAR_SPACES_[A-Z_]+", "".join(re.findall(r"^\|.*", DEPLOY, re.M))))
    sources = [*ROOT.glob("var_spaces/**/*.py"), *ROOT.glob("leaderboard/**/*.py")]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    used = {name for text in texts for name in re.findall(r'"(VAR_SPACES_[A-Z_]*[A-Z])"', text)}
    assert table == used | {variable(item.name) for item in fields(Limits)}


@pytest.mark.parametrize("limit", fields(Limits), ids=lambda item: item.name)
def test_the_table_has_the_defaults(limit):
    row = next(line for line in DEPLOY.splitlines() if f"| `{variable(limit.name)}` |" in line)
    assert row.endswith(f"| `{limit.default}` |")


def test_the_example_is_what_health_says(served):
    example = json.loads(re.search(r"```json\n(.*?)```", DEPLOY, re.DOTALL)[1])
    assert example.keys() == health(served).keys()


def test_a_wrong_limit_stops_the_page_before_it_starts(monkeypatch, capsys):
    monkeypatch.setenv("VAR_SPACES_MAX_WAITING", "many")
    with pytest.raises(SystemExit):
        main([])
    assert "give a whole number from 1 to 10000" in capsys.readouterr().err


def test_all_that_is_an_hour_old_is_forgotten_at_once():
    clock = SimpleNamespace(now=0.0)
    hourly = Hourly(2, "run", lambda: clock.now)
    assert hourly.refusal("a") is None
    clock.now = 10.0
    assert hourly.refusal("a") is None
    clock.now = HOUR + 11
    assert hourly.refusal("a", 2) is None
