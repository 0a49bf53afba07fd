"""Whose models are whose: a visitor is a page that is open, and the same page after a reload.

The server makes a key when a visitor's first model is kept. The browser holds it as long as its tab
is open, and shows it after a reload; nobody else can have it. While something is done for a
visitor, the models of that visitor are known like all others (``zoo/places.py``), to no one else.
"""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any

import gradio as gr

from var_spaces.ui.own import shelf
from var_spaces.zoo.places import personal

IDLE = 6 * 3600.0  # seconds after which the models of a visitor who is gone are deleted
MOST = 1000  # visitors with models of their own
MOST_PAGES = 32  # of one visitor, the latest

_session: ContextVar[str] = ContextVar("session of a visitor", default="")


@dataclass
class Visitor:
    """A visitor who has, or had, models here.

    Attributes:
        key: secret; what the browser shows after a reload.
        folder: of the models.
        used: when the visitor last did something.
        pages: sessions, the latest last.
    """

    key: str
    folder: Path
    used: float
    pages: list[str] = field(default_factory=list)


class Visitors:
    """All visitors with models of their own, in a folder that ends with the process.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._root: Path | None = None
        self._by_key: dict[str, Visitor] = {}
        self._by_session: dict[str, Visitor] = {}
        self._lock = RLock()

    def known(self, session: str | None) -> Visitor | None:
        """Who works in a session, if that visitor has models."""
        with self._lock:
            found = self._by_session.get(session or "")
            if found:
                found.used = self.clock()
            return found

    def open(self, session: str) -> Visitor:
        """The visitor of a session, from now on with a shelf for models."""
        with self._lock:
            self._sweep()
            found = self.known(session)
            if found is None:
                key = secrets.token_urlsafe(24)
                folder = self.root / secrets.token_hex(8)
                folder.mkdir(mode=0o700)
                found = self._by_key[key] = Visitor(key, folder, self.clock())
                self._add_page(found, session)
            return found

    def claim(self, session: str, key: str) -> Visitor | None:
        """The page was loaded anew: its visitor is who had the key."""
        with self._lock:
            found = self._by_key.get(key)
            if found and session:
                self._add_page(found, session)
                found.used = self.clock()
            return found

    def _add_page(self, found: Visitor, session: str) -> None:
        """A page invents the name of its session, so there may be any number of them."""
        before = self._by_session.get(session)
        if before is not None:
            before.pages.remove(session)
        self._by_session[session] = found
        found.pages.append(session)
        if len(found.pages) > MOST_PAGES:
            del self._by_session[found.pages.pop(0)]

    def of_key(self, key: str) -> Visitor | None:
        with self._lock:
            return self._by_key.get(key)

    @property
    def root(self) -> Path:
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="var-spaces-own-"))
            atexit.register(shutil.rmtree, self._root, ignore_errors=True)
        return self._root

    def _sweep(self) -> None:
        """Forget who has been away for long and, if there are too many, who has nothing here, then
        the longest away."""
        now, kept = self.clock(), list(self._by_key.values())
        waiting = {visitor.key for visitor in kept if shelf.is_filled(visitor.folder)}
        for visitor in kept:
            if visitor.key in waiting:  # who waits for a training is not away
                visitor.used = now
        if len(kept) >= MOST:
            kept.sort(key=lambda v: (any(v.folder.iterdir()), v.used), reverse=True)
        for number, visitor in enumerate(kept):
            if visitor.key in waiting:
                continue
            if number >= MOST or now - visitor.used > IDLE:
                del self._by_key[visitor.key]
                for session in visitor.pages:
                    del self._by_session[session]
                for name in shelf.models(visitor.folder):
                    shelf.remove(visitor.folder, name)
                shutil.rmtree(visitor.folder, ignore_errors=True)


VISITORS = Visitors()


def bind(page: gr.Blocks) -> None:
    """Whatever the page does, it does for the visitor who asked."""
    real = page.process_api

    @wraps(real)
    async def process(*arguments: Any, **named: Any) -> Any:
        session = named.get("session_hash") or ""
        found, token = VISITORS.known(session), _session.set(session)
        try:
            with personal([found.folder] if found else ()):
                return await real(*arguments, **named)
        finally:
            _session.reset(token)

    page.process_api = process


def session() -> str:
    """The session for which this context works."""
    return _session.get()


def own_folder() -> Path:
    """Shelf of the present visitor."""
    return VISITORS.open(session()).folder


def own_models(adapter: str = "") -> dict[str, Any]:
    """Cards of the present visitor's models by id; see :func:`shelf.models`."""
    found = VISITORS.known(session())
    return shelf.models(found.folder, adapter) if found else {}
