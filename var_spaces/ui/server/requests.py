"""Requests of programs and of gradio's own scripts: what is open, and what they may hold."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from gradio.data_classes import PredictBody
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from var_spaces.errors import did_you_mean
from var_spaces.ui.queue.limits import MIB
from var_spaces.ui.queue.sessions import LOST, asked_for
from var_spaces.ui.server.bodies import replayed, whole
from var_spaces.ui.server.files import misplaced
from var_spaces.ui.server.refusing import Refused, answered
from var_spaces.ui.server.uploads import UPLOAD
from var_spaces.validation import shorten

API = "/gradio_api"
# Gradio serves these; the page uses none of them. Some write files, some fetch what they are told.
CLOSED = (
    "/monitoring",
    "/monitoring/{rest:path}",
    f"{API}/custom_component/{{rest:path}}",
    f"{API}/deep_link",
    f"{API}/proxy={{rest:path}}",
    f"{API}/run-history/{{rest:path}}",
    f"{API}/runs",
    f"{API}/runs/",
    f"{API}/stream/{{rest:path}}",
    "/pwa_icon/{rest:path}",
)
ANY = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]
# Names that clients give to what gradio keeps for them.
NAMES = ("session_hash", "upload_id")
LONGEST = 64  # characters of one
QUEUED = "This is done in turn: ask for it through queue/join or call."
SMALL = 4096  # bytes of a request that is not looked through for one


def closed_routes() -> list[Route]:
    """Answer 404 where gradio would do something that the page has no use for.

    And gradio would keep the name of every upload whose progress anybody asks for, for ever: an
    upload is done when its answer comes (see ``UploadTotals``).
    """

    async def gone(request: Request) -> Response:
        return JSONResponse({"detail": "Not found."}, 404)

    async def done(request: Request) -> Response:
        return StreamingResponse(_done(), media_type="text/event-stream")

    return [
        Route(f"{API}/upload_progress", done),
        *(Route(path, gone, methods=ANY) for path in CLOSED),
    ]


async def _done() -> AsyncIterator[str]:
    yield 'data: {"msg": "done"}\n\n'


class SmallRequests:
    """ASGI middleware: a request body is refused with 413 as soon as it is longer than ``most``."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") == UPLOAD:
            await self.app(scope, receive, send)
            return
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.most:
                raise Refused(413, f"Requests may have at most {self.most // MIB} MB.")
            return message

        await answered(self.app, scope, counted, send)


class Checked:
    """ASGI middleware: looks at some requests before gradio does, and refuses in one line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._named: Mapping[str, Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(API):
            await self.app(scope, receive, send)
            return
        refused, check, body = _long_name(scope), self._check(scope), None
        if refused is None and scope["method"] == "POST" and scope["path"].rstrip("/") != UPLOAD:
            body = await Request(scope, receive).body()
            refused = _long_session(body)
        if refused is None and check is not None:
            refused = check(scope["app"].get_blocks(), body or b"")
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self.app(scope, receive if body is None else replayed(whole(body), receive), send)

    def _check(self, scope: Scope) -> Callable[[gr.Blocks, bytes], Response | None] | None:
        path, method = scope["path"].rstrip("/"), scope["method"]
        name = path.rpartition("/")[2]
        if method == "GET" and path.startswith(f"{API}/call/"):
            return lambda page, _: _listened(page, name)
        if method == "GET" and path.startswith((f"{API}/file=http:", f"{API}/file=https:")):
            return lambda *_: _refused(403, "Files of other servers are not fetched here.")
        if method != "POST":
            return None
        if path == f"{API}/cancel":
            return _cancelled
        if path.startswith(f"{API}/call/v2/"):
            return lambda page, body: self._called(page, name, body)
        if path.startswith(f"{API}/call/"):
            return lambda page, _: self._known(page, name)
        if path.startswith((f"{API}/run/", f"{API}/api/")):
            return lambda page, body: self._direct(page, name, body)
        return None

    def _direct(self, page: gr.Blocks, name: str, body: bytes) -> Response | None:
        """What does not go through the line: events of the page which are done at once."""
        try:
            given = PredictBody.model_validate_json(body)
        except ValidationError:
            return None  # gradio says what it asks for
        if given.fn_index is None:
            return self._known(page, name) or _refused(404, QUEUED)
        function = asked_for(page, given.session_hash, given.fn_index)
        if function is None:
            return _refused(404, LOST)
        if function.queue:
            return _refused(404, QUEUED)
        refused = misplaced(function.inputs, given.data)
        return _refused(422, refused) if refused else None

    def _known(self, page: gr.Blocks, name: str) -> Response | None:
        found = self._endpoints(page)
        if name in found:
            return None
        listed = ", ".join(f"/{other}" for other in found)
        near = did_you_mean(name, found)
        return _refused(404, f"No endpoint {shorten(name)}.{near} There are {listed}.")

    def _called(self, page: gr.Blocks, name: str, body: bytes) -> Response | None:
        """What ``call/v2`` is given by name: all that is needed, nothing unknown."""
        refused = self._known(page, name)
        if refused is not None:
            return refused
        given = _object(body)
        if given is None:
            return _refused(422, "Send one JSON object with the parameters by name.")
        parameters = {p["parameter_name"]: p for p in self._endpoints(page)[name]["parameters"]}
        listed = ", ".join(parameters) or "none"
        for key in given:
            if key not in (*parameters, "oauth_token"):
                near = did_you_mean(key, parameters)
                return _refused(
                    422, f"/{name} has no parameter {shorten(key)}.{near} Parameters: {listed}."
                )
        for key, parameter in parameters.items():
            if key not in given and not parameter.get("parameter_has_default"):
                return _refused(422, f"/{name} needs {key}. Parameters: {listed}.")
        return None

    def _endpoints(self, page: gr.Blocks) -> Mapping[str, Any]:
        if self._named is None:
            found = page.get_api_info()["named_endpoints"]
            self._named = {name.removeprefix("/"): endpoint for name, endpoint in found.items()}
        return self._named


def _listened(page: gr.Blocks, event: str) -> Response | None:
    """A stream of an event that does not exist ends before it begins."""
    queue = page._queue
    sessions = list(queue.pending_event_ids_session.values())
    known = event in queue.event_ids_to_events or any(event in events for events in sessions)
    if known or event in queue.pending_messages_per_session:
        return None
    return _refused(404, "There is no such run, or it has been told about.")


def _cancelled(page: gr.Blocks, body: bytes) -> Response | None:
    """Only who started a run may stop it."""
    given = _object(body)
    if given is None:
        return _refused(422, "Send one JSON object.")
    event = page._queue.event_ids_to_events.get(_text(given.get("event_id")))
    if event is not None and event.session_hash != given.get("session_hash"):
        return _refused(403, "This run was started by somebody else.")
    return None


def _long_name(scope: Scope) -> Response | None:
    """Names in an address, which gradio would keep however long they are."""
    given = parse_qs(scope["query_string"].decode("latin-1"))
    names = [name for key in NAMES for name in given.get(key, ())]
    if scope["path"].startswith(f"{API}/heartbeat/"):
        names.append(scope["path"].rpartition("/")[2])
    return _too_long() if any(len(name) > LONGEST for name in names) else None


def _long_session(body: bytes) -> Response | None:
    if len(body) <= SMALL:
        return None
    session = (_object(body) or {}).get("session_hash")
    return _too_long() if isinstance(session, str) and len(session) > LONGEST else None


def _too_long() -> Response:
    return _refused(422, f"{' and '.join(NAMES)} have at most {LONGEST} characters.")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"detail": reason}, status)
