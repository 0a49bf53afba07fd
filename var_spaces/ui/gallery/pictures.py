"""What there is in the gallery: strips of finished examples, and sheets of thumbnails.

* ``<model>.webp``: an example of a model, one tile per scale from left to right;
* ``classes.webp``: a row per style, a tile per class;
* ``examples.webp``: a tile per example to click on;
* ``scenes.webp``: a tile per picture of sprites that an example starts from.

The page shows one tile of such a picture with ``object-position``, so that a browser fetches each
file once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from var_spaces.spec import RunSpec

FOLDER = Path(__file__).with_name("webp")
INDEX = FOLDER / "index.json"
PATH = "gallery"  # of the page; relative, as the page may lie anywhere
YEAR = 31_536_000  # seconds; another file has another address


@dataclass(frozen=True)
class Strip:
    """A finished example: the run, and its picture after every scale."""

    spec: RunSpec
    count: int

    def tile(self, number: int, alt: str, kind: str) -> str:
        """The picture after a scale, from 0, as HTML."""
        return tile(self.spec.model, number, self.count, alt, kind)


def tile(name: str, number: int, count: int, alt: str, kind: str) -> str:
    """One tile of a strip as HTML."""
    at = 100 * number / max(count - 1, 1)
    return (
        f'<img class="vs-tile {kind}" src="{address(name)}" alt="{escape(alt, quote=True)}" '
        f'style="object-position:{at:.4g}% 0" decoding="sync">'
    )


@cache
def index() -> Mapping[str, Any]:
    """Names of the tiles, and the runs of the examples."""
    return json.loads(INDEX.read_text("utf-8"))


@cache
def example_strip(model: str) -> Strip | None:
    """The example of a model, if there is one."""
    found = index()["runs"].get(model)
    return Strip(RunSpec(**found["spec"]), found["scales"]) if found else None


def example_tile(inputs: Mapping[str, Any], scene: Sequence | None = None) -> str:
    """The picture of an example to click on, as HTML; "" if there is none. It says nothing that the
    words beside it do not say.

    Args:
        scene: that it starts from, which is shown then.
    """
    sheet, key = ("scenes", scene_key(scene)) if scene else ("examples", example_key(inputs))
    names = index()[sheet]
    return tile(sheet, names.index(key), len(names), "", "") if key in names else ""


def scene_key(scene: Sequence) -> str:
    """Names a scene in the index."""
    return json.dumps(scene)


def example_key(inputs: Mapping[str, Any]) -> str:
    """Names an example in the index by what is drawn."""
    asked = {key: inputs[key] for key in ("class", "prompt", "style") if inputs.get(key)}
    return json.dumps(asked)


@cache
def address(name: str) -> str:
    """Of a file on the page."""
    version = hashlib.sha256((FOLDER / f"{name}.webp").read_bytes()).hexdigest()[:12]
    return f"{PATH}/{name}.webp?v={version}"


def for_browser() -> dict[str, Any]:
    """What ``js/thumbs.js`` reads: names and addresses of the sheet of classes."""
    return {"classes": index()["classes"], "styles": index()["styles"], "src": address("classes")}


def gallery_route() -> Route:
    """Where the browser finds the pictures."""

    async def answer(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in {path.name for path in FOLDER.glob("*.webp")}:
            return JSONResponse({"detail": "Not found."}, 404)
        kept = {"cache-control": f"public, max-age={YEAR}, immutable"}
        return FileResponse(FOLDER / name, media_type="image/webp", headers=kept)

    return Route(f"/{PATH}/{{name}}", answer)
