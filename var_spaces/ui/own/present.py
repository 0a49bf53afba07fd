"""What the page knows of the present visitor's models: a hidden text that changes with them.

Who shows a choice of models listens to it (:func:`follow`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.ui.own.visitors import VISITORS, own_models, session
from var_spaces.ui.queue.wiring import CAREFUL, QUICK

ID = "own-models"


def add_present(page: gr.Blocks) -> None:
    """Add the text to the page; after a reload the browser shows the key that it holds."""
    own = gr.Textbox(visible="hidden", label="Models of your own", elem_id=ID)
    page.load(None, None, own, js="() => varSpaces.ownKey()", **QUICK)
    own.change(
        _known, own, own, js="(text) => { varSpaces.keepOwn(text); return text; }", **CAREFUL
    )


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
    blocks = get_blocks_context()
    found = blocks.blocks.values() if blocks else ()
    return next((block for block in found if getattr(block, "elem_id", None) == ID), None)


def follow(update: Callable[..., Any], outputs: Sequence[gr.components.Component] | Any) -> None:
    """Update components whenever the visitor's models change."""
    own = holder()
    if own is not None:
        own.change(update, None, outputs, **CAREFUL)
