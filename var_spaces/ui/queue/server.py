"""What the web server does beside the page: ``/health``, and no request that is too large."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import var_spaces
from var_spaces.ui.queue import line
from var_spaces.ui.queue.limits import MIB, Limits
from var_spaces.zoo.cards import cards

UPLOAD = "/gradio_api/upload"  # gradio limits these itself
STARTED = time.monotonic()


def app_options(limits: Limits) -> dict[str, Any]:
    """For ``launch(app_kwargs=...)``."""

    async def health(request: Request) -> JSONResponse:
        state = _state(request.app.get_blocks(), limits)
        return JSONResponse(state, 200 if state["status"] == "ok" else 503)

    return {
        "routes": [Route("/health", health)],
        "middleware": [Middleware(SmallRequests, most=limits.max_request_mb * MIB)],
    }


def _state(page: gr.Blocks, limits: Limits) -> dict[str, Any]:
    """Whether runs are drawn; nothing about who draws what.

    A run that is still there long after it should have been stopped holds up everybody.
    """
    models = len(cards("generator"))
    stuck = line.longest(page) > 2 * limits.max_run_seconds
    return {
        "status": "no model" if not models else "stuck" if stuck else "ok",
        "version": var_spaces.__version__,
        "uptime_seconds": round(time.monotonic() - STARTED),
        "models": models,
        "running": len(line.running(page)),
        "waiting": len(line.waiting(page)),
    }


class SmallRequests:
    """ASGI middleware: a request body is refused with 413 as soon as it is longer than ``most``."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UPLOAD):
            await self.app(scope, receive, send)
            return
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.most:
                raise HTTPException(413, f"Requests may have at most {self.most // MIB} MB.")
            return message

        await self.app(scope, counted, send)
