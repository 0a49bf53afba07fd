"""Drawings of image editors, which the browser hands in piece by piece before a run.

Gradio would keep whatever comes under whatever name, and as many layers as a number says. Here the
pieces are bounded: how many layers, bytes of one address and of all, and how long they wait.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field

from gradio.components.image_editor import EditorDataBlobs
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from var_spaces.ui.queue.limits import MIB
from var_spaces.ui.server.address import address

PATH = "/gradio_api/component_server"
MAX_LAYERS = 4  # a drawing of the page has one
MAX_NAME = 64
MAX_DRAWINGS, MAX_EACH = 4096, 256  # that are held, of one address; without a byte they have size
FIELDS = 8  # of a form; five are known


@dataclass
class _Drawing:
    place: str
    since: float
    pieces: EditorDataBlobs = field(
        default_factory=lambda: EditorDataBlobs(background=None, layers=[], composite=None)
    )

    @property
    def bytes(self) -> int:
        parts = (self.pieces.background, self.pieces.composite, *self.pieces.layers)
        return sum(len(part) for part in parts if part)


class Drawings(MutableMapping[str, EditorDataBlobs]):
    """Drawings by the name that the browser gives them, the oldest first to leave.

    Args:
        each: bytes of one address.
        most: bytes of all.
        age: seconds.
    """

    def __init__(
        self,
        each: int = 48 * MIB,
        most: int = 256 * MIB,
        age: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.each, self.most, self.age, self.clock = each, most, age, clock
        self._held: OrderedDict[str, _Drawing] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, name: str, place: str, kind: str, index: int | None, data: bytes) -> None:
        """Keep a piece of a drawing.

        Raises:
            ValueError: for a piece that no drawing has.
        """
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError("the name of a drawing has 1 to 64 characters")
        if kind == "layer":
            if index is None or not 0 <= index < MAX_LAYERS:
                raise ValueError(f"a drawing has at most {MAX_LAYERS} layers")
        elif kind not in ("background", "composite"):
            raise ValueError("a piece is a background, a layer or a composite")
        with self._lock:
            drawing = self._held.get(name)
            if drawing is None or drawing.place != place:
                drawing = self._held[name] = _Drawing(place, self.clock())
            if kind == "layer":
                layers = drawing.pieces.layers
                layers.extend([None] * (index + 1 - len(layers)))
                layers[index] = data
            else:
                setattr(drawing.pieces, kind, data)
            self._make_room(place)

    def _make_room(self, place: str) -> None:
        now = self.clock()
        for name in [n for n, d in self._held.items() if now - d.since > self.age]:
            del self._held[name]
        mine = [name for name, drawing in self._held.items() if drawing.place == place]
        while len(mine) > MAX_EACH or sum(self._held[name].bytes for name in mine) > self.each:
            del self._held[mine.pop(0)]
        while len(self._held) > MAX_DRAWINGS or self.bytes > self.most:
            self._held.popitem(last=False)

    @property
    def bytes(self) -> int:
        return sum(drawing.bytes for drawing in self._held.values())

    # what gradio's image editor asks for

    def __getitem__(self, name: str) -> EditorDataBlobs:
        return self._held[name].pieces

    def __setitem__(self, name: str, pieces: EditorDataBlobs) -> None:
        self._held[name] = _Drawing("", self.clock(), pieces)

    def __delitem__(self, name: str) -> None:
        with self._lock:
            del self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._held))

    def __len__(self) -> int:
        return len(self._held)


DRAWINGS = Drawings()


def blob_routes() -> list[Route]:
    """In the place of gradio's route, which calls functions of components by name."""
    return [Route(path, _take, methods=["POST"]) for path in (PATH, f"{PATH}/")]


async def _take(request: Request) -> Response:
    """One piece of a drawing: the only thing that the page asks of its components."""
    try:
        async with request.form(max_files=1, max_fields=FIELDS) as form:
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            if form.get("fn_name") != "accept_blobs" or len(files) != 1:
                return JSONResponse({"detail": "Not found."}, 404)
            index = str(form.get("index") or "null")
            DRAWINGS.put(
                str(form.get("id") or ""),
                address(request),
                str(form.get("type")),
                None if index == "null" else _small(index),
                await files[0].read(),
            )
    except (MultiPartException, ValueError) as error:
        return JSONResponse({"detail": f"This is no piece of a drawing: {error}."}, 400)
    except HTTPException as error:
        return JSONResponse({"detail": error.detail}, error.status_code)
    return JSONResponse(None)


def _small(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise ValueError("the number of a layer is a small whole number")
    return int(text)
