"""Languages of the page beside English: ``languages/*.json``, from what it says in English.

``{n}`` in both stands for a number, ``{}`` for a name or other words of the table. ``js/words.js``
puts them into the page. To add a language copy ``zh.json``: ``tests/ui/whole/test_languages.py``
says what is missing. The entry "English" is the name of the language in itself.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).with_name("languages")
PATH = "words"
YEAR = 31_536_000  # seconds; another table has another address


@cache
def table(code: str) -> dict[str, str]:
    """The words of a language by those of English."""
    return json.loads((FOLDER / f"{code}.json").read_text("utf-8"))


def codes() -> list[str]:
    """Languages that there are, English left out."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def for_browser() -> dict[str, dict[str, str]]:
    """What ``js/words.js`` reads: name and address of every language."""
    return {code: {"name": table(code)["English"], "src": _address(code)} for code in codes()}


def _address(code: str) -> str:
    version = hashlib.sha256((FOLDER / f"{code}.json").read_bytes()).hexdigest()[:12]
    return f"{PATH}/{code}.json?v={version}"


def words_route() -> Route:
    """Where the browser finds the tables."""

    async def answer(request: Request) -> Response:
        code = request.path_params["code"]
        if code not in codes():
            return JSONResponse({"detail": "Not found."}, 404)
        kept = {"cache-control": f"public, max-age={YEAR}, immutable"}
        return JSONResponse(table(code), headers=kept)

    return Route(f"/{PATH}/{{code}}.json", answer)
