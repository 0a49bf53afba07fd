"""What the web server does beside the page: ``/health``, and what stands in front of gradio."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import var_spaces
from var_spaces.ui.gallery.pictures import gallery_route
from var_spaces.ui.languages import words_route
from var_spaces.ui.own.take_home import own_route
from var_spaces.ui.queue import line
from var_spaces.ui.queue.limits import MIB, Limits, train_seconds
from var_spaces.ui.script import script_route
from var_spaces.ui.server.address import Agents
from var_spaces.ui.server.blobs import blob_routes
from var_spaces.ui.server.folder import tidying
from var_spaces.ui.server.names import Names
from var_spaces.ui.server.requests import Checked, SmallRequests, closed_routes
from var_spaces.ui.server.sites import OwnSite
from var_spaces.ui.server.uploads import UploadTotals
from var_spaces.zoo.cards import cards

STARTED = time.monotonic()


def app_options(limits: Limits) -> dict[str, Any]:
    """For ``launch(app_kwargs=...)``."""

    async def health(request: Request) -> JSONResponse:
        state = _state(request.app.get_blocks(), limits)
        return JSONResponse(state, 200 if state["status"] == "ok" else 503)

    return {
        "lifespan": tidying(limits.max_downloads_mb * MIB),
        "routes": [
            Route("/health", health),
            script_route(),
            gallery_route(),
            words_route(),
            own_route(),
            *blob_routes(),
            *closed_routes(),
        ],
        "middleware": [
            Middleware(Agents),
            Middleware(OwnSite),
            Middleware(UploadTotals, limits=limits),
            Middleware(SmallRequests, most=limits.max_request_mb * MIB),
            Middleware(Names),
            Middleware(Checked),
        ],
    }


def _state(page: gr.Blocks, limits: Limits) -> dict[str, Any]:
    """Whether runs are drawn; nothing about who draws what.

    A run that is still there long after it should have been stopped holds up everybody.
    """
    models = len(cards("generator"))
    stuck = line.longest(page) > 2 * max(limits.max_run_seconds, train_seconds())
    return {
        "status": "no model" if not models else "stuck" if stuck else "ok",
        "version": var_spaces.__version__,
        "uptime_seconds": round(time.monotonic() - STARTED),
        "models": models,
        "running": len(line.running(page)),
        "waiting": len(line.waiting(page)),
    }
