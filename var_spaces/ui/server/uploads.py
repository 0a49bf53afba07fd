"""Files that are handed in: bounded one by one, by address in an hour, and all together.

Gradio bounds a file and deletes old ones; it bounds no sum.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from var_spaces.ui.queue.limits import MIB, Limits
from var_spaces.ui.server.address import address
from var_spaces.ui.server.hourly import Hourly

UPLOAD = "/gradio_api/upload"
AROUND = 64 * 1024  # bytes of a form around its file
AGAIN = 60.0  # seconds until the folder is counted anew
BROKEN = 3600.0  # seconds after which a file that is still being written is a piece
VARIABLE = "GRADIO_TEMP_DIR"


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
        headers = Headers(scope=scope)
        # A body in chunks has any length, whatever else its sender says.
        length = "" if "transfer-encoding" in headers else headers.get("content-length", "")
        refused = self.refusal(address(HTTPConnection(scope)), length)
        if refused:
            await PlainTextResponse(refused[1], refused[0])(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def refusal(self, place: str, length: str) -> tuple[int, str] | None:
        """Status and reason; None if the file may come, and then it counts."""
        if not (length.isascii() and length.isdecimal()):
            return 411, "Say how long the upload is (Content-Length)."
        size, most = int(length), self.limits.max_upload_mb
        if size > most * MIB + AROUND:
            return 413, f"A file may have at most {most} MB."
        if self.held() + size > self.limits.max_uploads_mb * MIB:
            return 507, "There is no room for more uploads now: come back in an hour."
        if self.hourly.refusal(place, size):
            each = self.limits.max_uploads_mb_per_hour
            return 429, f"{each} MB of uploads in an hour is all one visitor can have here."
        self._held += size
        return None

    def held(self) -> int:
        """Bytes in the folder of uploads, and what has come since it was counted."""
        now = self.clock()
        if now - self._counted >= AGAIN:
            self._counted, self._held = now, folder_bytes()
        return self._held


def _is_upload(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and scope["path"].rstrip("/") == UPLOAD
    )


def folder_bytes() -> int:
    """Bytes of all files that gradio keeps for visitors; pieces of broken uploads are removed."""
    total, folder = 0, Path(get_upload_folder())
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may just have been deleted
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                continue
            if path.parent == folder and found.st_mtime < time.time() - BROKEN:
                path.unlink()  # whole files lie in folders of their own
                continue
            total += found.st_size
    return total


def own_folder() -> None:
    """Keep the files of this page in a folder of its own, which ends with the process.

    Gradio's is shared by all its pages on a computer, and belongs to whoever came first.
    """
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = folder = tempfile.mkdtemp(prefix="var-spaces-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
