"""Names of files for visitors: where the server keeps them is nobody's business.

Gradio tells and takes absolute paths of its folder of uploads. Outside it is called ``/uploads``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from var_spaces.ui.server.bodies import replayed, whole

OUTSIDE = "/uploads"
FILES = "/gradio_api/file="
TOLD = ("application/json", "text/event-stream", "text/plain")
_TAKEN = re.compile(rb'("path"\s*:\s*")' + OUTSIDE.encode() + rb"/")


class Names:
    """ASGI middleware: paths of the folder of uploads are written and read as ``/uploads/...``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.folder = app, get_upload_folder()
        # as JSON writes it, and inside an address
        spellings = (json.dumps(self.folder)[1:-1], self.folder, quote(self.folder))
        self.inside = tuple({text.encode() for text in spellings})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = scope["path"].removeprefix(FILES)
        if wanted is not scope["path"] and wanted.startswith(f"{OUTSIDE}/"):
            path = f"{FILES}{self.folder}{wanted.removeprefix(OUTSIDE)}"
            scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        kind = Headers(scope=scope).get("content-type", "")
        if scope["method"] == "POST" and kind.startswith("application/json"):
            scope, receive = await self._read(scope, receive)
        await self.app(scope, receive, _Outgoing(self._hide, send))

    async def _read(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """The request with paths as gradio knows them; it is bounded before."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # the other side has left
                return scope, replayed(message, receive)
            body += message.get("body", b"")
            more = message.get("more_body", False)
        here = json.dumps(f"{self.folder}/")[1:-1].encode()
        found = _TAKEN.sub(lambda match: match[1] + here, body)
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["content-length"] = str(len(found))
        return {**scope, "headers": headers.raw}, replayed(whole(found), receive)

    def _hide(self, data: bytes) -> bytes:
        for text in self.inside:
            data = data.replace(text, OUTSIDE.encode())
        return data


class _Outgoing:
    """Sends an answer on with its paths hidden: streams message by message, others as a whole."""

    def __init__(self, hide: Callable[[bytes], bytes], send: Send) -> None:
        self.hide, self.send = hide, send
        self.start: Message | None = None
        self.kind, self.body = "", b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.kind = Headers(raw=message["headers"]).get("content-type", "").partition(";")[0]
            if self.kind in TOLD and self.kind != "text/event-stream":
                self.start = message
                return
        elif message["type"] == "http.response.body" and self.kind in TOLD:
            if self.start is not None:
                self.body += message.get("body", b"")
                if message.get("more_body", False):
                    return
                body = self.hide(self.body)
                MutableHeaders(raw=self.start["headers"])["content-length"] = str(len(body))
                await self.send(self.start)
                message = {**message, "body": body}
            else:
                message = {**message, "body": self.hide(message.get("body", b""))}
        await self.send(message)
