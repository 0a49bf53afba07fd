"""Links that bring a run back, and the visitor's own runs, which stay in the visitor's browser.

A link holds the run spec itself, so it works as long as the models exist: the server keeps nothing.
The browser's part is in ``js/share.js``.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui import pixels
from var_spaces.ui.view import RunView
from var_spaces.ui.words import asked

SCRIPT = Path(__file__).with_name("js") / "share.js"
PARAMETER = "run"
THUMBNAIL = 64  # pixels
SPACES = "https://huggingface.co/spaces/"

RUNS = """<div class="vs-runs">
<p class="vs-note">Pictures that you draw are listed here. The list stays in this browser.</p>
<ol></ol><button type="button" hidden>Clear the list</button></div>"""
SHOW = "varSpaces.show(element, (link) => trigger('select', { link }));"


def head() -> str:
    """The script for the head of the page."""
    return f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>"


def link(spec: RunSpec) -> str:
    """Address of the page with a run in it.

    Inside a Space's frame that is the address of the Space, elsewhere the page that asks: then the
    link starts with ``?``.

    Raises:
        VarSpacesError: if the run does not fit into a link.
    """
    space = os.environ.get("SPACE_ID", "")
    return f"{SPACES + space if space else ''}?{PARAMETER}={spec.to_link()}"


def anchor(spec: RunSpec) -> str:
    """The link of a run as HTML, to copy by hand."""
    address = escape(_link_if_short(spec), quote=True)
    if not address:
        return "This run is too long for a link: share its PNG."
    return f'<a href="{address}" target="_blank" rel="noopener">these settings</a>'


def _link_if_short(spec: RunSpec) -> str:
    try:
        return link(spec)
    except VarSpacesError:
        return ""


def share(view: RunView) -> dict[str, Any] | None:
    """What the browser gets of a finished run, to copy its link and to remember it."""
    if view.phase != "done":
        return None
    return {
        "id": view.spec.id,
        "title": title(view.spec),
        "link": _link_if_short(view.spec),
        "picture": pixels.preview(view.images[0], THUMBNAIL),
    }


def title(spec: RunSpec) -> str:
    """What a run draws, in a few words; hashes of pictures are no words."""
    return f"{' · '.join(asked(spec)) or spec.task}, seed {spec.seed}"[:120]
