"""Where a request comes from, as far as that can be believed.

Whoever sends a request can write anything into ``X-Forwarded-For``; only what a proxy of the owner
added to its end is true. So the header counts only if ``VAR_SPACES_PROXIES`` says how many proxies
stand in front, or inside a Space, which nobody can reach without its proxy.

Gradio's server for agents (MCP) asks the page anew for each of them, from this computer, and hands
their headers on. So whom it asks for is written into a header, with a secret of this process.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from var_spaces.errors import VarSpacesError

VARIABLE = "VAR_SPACES_PROXIES"
MOST = 9
AGENTS = "/gradio_api/mcp"
ASKED_FOR = "x-var-spaces-asked-for"
_SECRET = secrets.token_hex(16)
SHARED_BITS = 64  # of an IPv6 address: all that follow belong to one customer


def proxies() -> int:
    """How many proxies are believed.

    Raises:
        VarSpacesError: for anything but a digit.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text and not (text.isascii() and text.isdecimal() and int(text) <= MOST):
        raise VarSpacesError(f"{VARIABLE} is '{text[:40]}': give a whole number from 0 to {MOST}.")
    return int(text) if text else 0


def address(request: HTTPConnection) -> str:
    """Who is counted for a request: an IPv4 address, or the network of an IPv6 one."""
    secret, _, agent = request.headers.get(ASKED_FOR, "").partition(" ")
    if agent and hmac.compare_digest(secret.encode(), _SECRET.encode()):
        return agent
    direct = request.client.host if request.client else ""
    named = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    count = proxies()
    if count:
        found = named[-count] if len(named) >= count else ""
    elif "SPACE_ID" in os.environ:
        # The last one that is not of the platform's own network.
        found = next((name for name in reversed(named) if _is_public(name)), "")
    else:
        found = ""
    return _network(found) or _network(direct) or direct


def _is_public(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_global
    except ValueError:
        return False


def _network(name: str) -> str:
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return ""
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, SHARED_BITS), strict=False))


class Agents:
    """ASGI middleware: says for whom the server for agents asks the page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(AGENTS):
            name = ASKED_FOR.encode()
            others = [header for header in scope["headers"] if header[0] != name]
            told = f"{_SECRET} {address(HTTPConnection({**scope, 'headers': others}))}"
            scope = {**scope, "headers": [*others, (name, told.encode())]}
        await self.app(scope, receive, send)
