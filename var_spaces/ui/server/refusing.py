"""Refusals that come up while a request is being read."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Refused(HTTPException):
    """Raised by a ``receive``. A route of gradio answers with it as it stands."""


async def answered(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run an app whose requests may be refused while they are read.

    What reads outside of a route, as middleware does, has nobody to answer for it.
    """
    begun = False

    async def sent(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        await app(scope, receive, sent)
    except Refused as error:
        if begun:
            raise
        await JSONResponse({"detail": error.detail}, error.status_code)(scope, receive, send)
