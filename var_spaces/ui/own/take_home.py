"""Where a browser gets a visitor's own model as a file; nothing of it is kept beside the shelf."""

from __future__ import annotations

from html import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from var_spaces.errors import VarSpacesError
from var_spaces.ui.own import shelf
from var_spaces.ui.own.visitors import VISITORS, session

PATH = "/own-models"


def link(name: str) -> str:
    """HTML of the link to a model of the present visitor; empty without one."""
    found = VISITORS.known(session())
    if found is None or not name:
        return ""
    address = escape(f"{PATH[1:]}/{found.key}/{name}.zip", quote=True)
    return (
        f'<a class="vs-take-home" href="{address}" download="{escape(name, quote=True)}.zip">'
        "Download</a>"
    )


def own_route() -> Route:
    """Answers who has the key, and says no more than "not found" to anybody else."""

    async def answer(request: Request) -> Response:
        found = VISITORS.of_key(request.path_params["key"])
        try:
            if found is None:
                raise VarSpacesError("There is no such model here.")
            name = request.path_params["name"]
            content = await run_in_threadpool(shelf.packed, found.folder, name)
        except VarSpacesError as error:
            return PlainTextResponse(str(error), 404)
        headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
        return Response(content, media_type="application/zip", headers=headers)

    return Route(f"{PATH}/{{key}}/{{name}}.zip", answer)
