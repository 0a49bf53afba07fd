"""The page's own scripts as one file, which browsers keep: ``js/*.js`` and what they read."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from var_spaces.ui import languages, tabs
from var_spaces.ui.form.pictures import most_pixels
from var_spaces.ui.form.schema import schema
from var_spaces.ui.gallery.pictures import for_browser
from var_spaces.ui.glossary import TERMS
from var_spaces.ui.run.onward import sends

FOLDER = Path(__file__).with_name("js")
FIRST = ("share.js", "fetch.js")  # make ``varSpaces``, and what others hang on to
PATH = "/var-spaces.js"
YEAR = 31_536_000  # seconds; another script has another address


@cache
def script() -> str:
    """All scripts, and what they read of the page's own words and classes."""
    others = sorted({path.name for path in FOLDER.glob("*.js")} - set(FIRST))
    texts = [(FOLDER / name).read_text(encoding="utf-8") for name in (*FIRST, *others)]
    read = {"schema": schema(), "gallery": for_browser(), "sends": sends()}
    read |= {"terms": TERMS, "languages": languages.for_browser(), "first": tabs.names()[0]}
    read |= {"mostPixels": most_pixels()}
    told = [f"varSpaces.{name} = {json.dumps(value)};" for name, value in read.items()]
    return "\n".join([*texts, *told, ""])


def head() -> str:
    """For the head of the page; the address is relative, as the page may lie anywhere."""
    version = hashlib.sha256(script().encode()).hexdigest()[:12]
    return f'<script src="{PATH.removeprefix("/")}?v={version}"></script>'


def script_route() -> Route:
    """Where the browser finds it."""

    async def answer(request: Request) -> Response:
        kept = {"cache-control": f"public, max-age={YEAR}, immutable"}
        return Response(script(), media_type="text/javascript", headers=kept)

    return Route(PATH, answer)
