"""What the page knows of the present visitor's models: a hidden text that changes with them.

Who shows a choice of models listens to it (:func:`follow`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.ui.own.visitors import VISITORS, own_models, session
from var_spaces.ui.queue.wiring import CAREFUL, QUICK

ID = "own-models"
_lazy: ContextVar[str] = ContextVar("tab that is being built", default="")


def add_present(page: gr.Blocks, lazy: Sequence[str]) -> None:
    """Add the text to the page; after a reload the browser shows the key that it holds.

    Args:
        lazy: tabs that are built later. Gradio forgets who listened to a component when a part that
            is built later listens to it, so every such tab has an echo of the text for itself.
    """
    own = gr.Textbox(visible="hidden", label="Models of your own", elem_id=ID)
    echoes = [
        gr.Textbox(visible="hidden", label=f"Models of your own, {name}", elem_id=f"{ID}-{name}")
        for name in lazy
    ]
    page.load(None, None, own, js="() => varSpaces.ownKey()", **QUICK)
    own.change(_known, own, own, js="(text) => varSpaces.keepOwn(text)", **CAREFUL)
    own.change(None, own, echoes, js=f"(text) => Array({len(echoes)}).fill(text)", **QUICK)


def _known(text: str) -> str:
    """The models of who shows a key; text that comes from a browser is trusted as little as any."""
    if not text:
        return ""
    try:
        found = codecs.parse_json(text, "The key")
    except VarSpacesError:
        return ""
    key = found.get("key") if isinstance(found, dict) else None
    if isinstance(key, str):
        VISITORS.claim(session(), key)
    return present()


def present() -> str:
    """The text for the present visitor: key, and ids of models."""
    found = VISITORS.known(session())
    return json.dumps({"key": found.key, "models": list(own_models())}) if found else ""


def holder() -> gr.Textbox | None:
    """The text on the page that is being built; None where a part is built alone."""
    return _found(ID)


@contextmanager
def building(tab: str) -> Iterator[None]:
    """Around the building of a tab that comes later."""
    token = _lazy.set(tab)
    try:
        yield
    finally:
        _lazy.reset(token)


def follow(update: Callable[..., Any], outputs: Sequence[gr.components.Component] | Any) -> None:
    """Update components whenever the visitor's models change."""
    tab = _lazy.get()
    told = _found(f"{ID}-{tab}" if tab else ID)
    if told is not None:
        told.change(update, None, outputs, **CAREFUL)


def _found(name: str) -> gr.Textbox | None:
    blocks = get_blocks_context()
    known = blocks.blocks.values() if blocks else ()
    return next((block for block in known if getattr(block, "elem_id", None) == name), None)
