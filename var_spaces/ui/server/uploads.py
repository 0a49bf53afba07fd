"""Files that are handed in: bounded one by one, by address in an hour, and all together.

Gradio bounds a file; it bounds no sum.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from var_spaces.ui.queue.limits import MIB, Limits
from var_spaces.ui.server.address import address
from var_spaces.ui.server.folder import FLOOR, upload_bytes
from var_spaces.ui.server.hourly import Hourly
from var_spaces.ui.server.refusing import Refused, answered

UPLOAD = "/gradio_api/upload"
AROUND = 64 * 1024  # bytes of a form around its files
MOST_FILES = 16  # in a form; the page takes five
AGAIN = 60.0  # seconds until what is held is counted anew
VARIABLE = "GRADIO_TEMP_DIR"
FORM = re.compile(r'multipart/form-data; ?boundary="?(?P<boundary>[^\s";]{1,70})"?', re.IGNORECASE)
NO_FORM = "Hand files in as a form: multipart/form-data with a boundary."


class UploadTotals:
    """ASGI middleware: uploads are refused before they are read."""

    def __init__(
        self, app: ASGIApp, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app, self.limits, self.clock = app, limits, clock
        self.hourly = Hourly(limits.max_uploads_mb_per_hour * MIB, "byte", clock)
        self._held, self._counted = 0, -AGAIN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_upload(scope):
            await self.app(scope, receive, send)
            return
        headers, place = Headers(scope=scope), address(HTTPConnection(scope))
        # A body in chunks has any length, whatever else its sender says.
        length = "" if "transfer-encoding" in headers else headers.get("content-length", "")
        await self.count(scope["app"].get_blocks().upload_file_set)
        refused = self.refusal(place, length)
        if refused:
            await PlainTextResponse(refused[1], refused[0])(scope, receive, send)
            return
        files = Files(headers.get("content-type", ""))
        if not files.are_told_apart:
            await PlainTextResponse(NO_FORM, 400)(scope, receive, send)
            return

        async def counted() -> Message:
            message = await receive()
            for number in files.begun(message.get("body", b"")):
                refused = self.another(place, number)
                if refused:
                    raise Refused(*refused)
            return message

        # Without the name by which gradio would remember how far it is (see ``closed_routes``).
        await answered(self.app, {**scope, "query_string": b""}, counted, send)

    def refusal(self, place: str, length: str) -> tuple[int, str] | None:
        """Status and reason; None if the file may come, and then it counts."""
        if not (length.isascii() and length.isdecimal()):
            return 411, "Say how long the upload is (Content-Length)."
        size, most = int(length), self.limits.max_upload_mb
        if size > most * MIB + AROUND:
            return 413, f"A file may have at most {most} MB."
        return self._take(place, size)

    def another(self, place: str, number: int) -> tuple[int, str] | None:
        """The same for a file of a form as it begins, counted from 1."""
        if number > MOST_FILES:
            return 413, f"At most {MOST_FILES} files can be handed in at once."
        return self._take(place, FLOOR)

    def _take(self, place: str, size: int) -> tuple[int, str] | None:
        if self._held + size > self.limits.max_uploads_mb * MIB:
            return 507, "There is no room for more uploads now: come back in an hour."
        if self.hourly.refusal(place, size):
            each = self.limits.max_uploads_mb_per_hour
            return 429, f"{each} MB of uploads in an hour is all one visitor can have here."
        self._held += size
        return None

    async def count(self, uploads: Iterable[str]) -> None:
        """Look what is still there of all uploads, now and then; what has come since is known."""
        now = self.clock()
        if now - self._counted >= AGAIN:
            self._counted, before = now, self._held
            found = await run_in_threadpool(upload_bytes, frozenset(uploads))
            self._held += found - before


class Files:
    """Counts the files of a form while it arrives.

    Args:
        kind: content type of the form, which names the line between its parts.
    """

    def __init__(self, kind: str) -> None:
        found = FORM.fullmatch(kind)
        self._line = b"--" + found["boundary"].encode("latin-1") if found else b""
        self._left, self._lines = b"", 0

    @property
    def are_told_apart(self) -> bool:
        return bool(self._line)

    def begun(self, body: bytes) -> range:
        """Numbers of the files that begin with this piece of the body."""
        body = self._left + body
        before, self._lines = self._lines, self._lines + body.count(self._line)
        self._left = body[max(body.rfind(self._line) + 1, len(body) - len(self._line) + 1) :]
        return range(max(before, 1), max(self._lines, 1))  # the last line ends the form


def _is_upload(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and scope["path"].rstrip("/") == UPLOAD
    )


def own_folder() -> None:
    """Keep the files of this page in a folder of its own, which ends with the process.

    Gradio's is shared by all its pages on a computer, and belongs to whoever came first.
    """
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = folder = tempfile.mkdtemp(prefix="var-spaces-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
