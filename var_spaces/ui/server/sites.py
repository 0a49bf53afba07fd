"""Which other sites may show the page and use it from a browser.

A browser lets any site send requests to any other, a demo on the visitor's own computer included.
So what changes something is taken only from our own page, from programs, which name no origin, and
from sites that the owner names in ``VAR_SPACES_SITES``. And a browser shows the page inside a frame
of the Hub, where Spaces live, and of these sites only.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from var_spaces.errors import VarSpacesError
from var_spaces.ui.server.address import proxies

VARIABLE = "VAR_SPACES_SITES"
ORIGIN = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?"
HUB = ("https://huggingface.co", "https://*.huggingface.co")
READING = ("GET", "HEAD", "OPTIONS")
REFUSED = (
    "This request comes from another site: open the page itself. Its owner can allow a site with "
    f"{VARIABLE}."
)


def friends() -> tuple[str, ...]:
    """Origins that the owner allows.

    Raises:
        VarSpacesError: for what is no origin.
    """
    names = tuple(filter(None, re.split(r"[,\s]+", os.environ.get(VARIABLE, ""))))
    for name in names:
        if not re.fullmatch(ORIGIN, name):
            raise VarSpacesError(
                f"{VARIABLE} has '{name[:60]}': give origins like https://example.org, separated "
                "by commas."
            )
    return names


class OwnSite:
    """ASGI middleware: refuses changes that other sites ask for, and adds headers for browsers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.friends = app, friends()
        frames = " ".join(("'self'", *HUB, *self.friends))
        self.headers = {
            "x-content-type-options": "nosniff",
            "content-security-policy": f"frame-ancestors {frames}",
            "referrer-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] in READING or self.takes(Headers(scope=scope)):
            await self.app(scope, receive, marked)
        else:
            await PlainTextResponse(REFUSED, 403)(scope, receive, marked)

    def takes(self, headers: Headers) -> bool:
        """Whether a request that changes something may come from where it says."""
        origin = headers.get("origin")
        fetched = headers.get("sec-fetch-site")  # browsers set it, and no script can
        if origin is None:
            return fetched in (None, "same-origin", "none")
        if fetched == "same-origin" or origin in self.friends:
            return True
        hosts = {headers.get("host"), os.environ.get("SPACE_HOST")}
        if proxies():
            hosts.add(headers.get("x-forwarded-host"))
        try:
            return urlsplit(origin).netloc in hosts - {None, ""}
        except ValueError:  # no address at all
            return False
