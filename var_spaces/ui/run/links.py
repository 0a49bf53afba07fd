"""Links that bring a run back, and the visitor's own runs, which stay in the visitor's browser.

A link holds the run spec itself, so it works as long as the models exist: the server keeps nothing.
The browser's part is in ``js/share.js``.
"""

from __future__ import annotations

import os
from html import escape
from typing import Any

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.compare.comparing import FEWEST, MOST
from var_spaces.ui.run import pixels
from var_spaces.ui.run.view import RunView
from var_spaces.ui.words import asked

PARAMETER = "run"
THUMBNAIL = 64  # pixels
SPACES = "https://huggingface.co/spaces/"

RUNS = """<div class="vs-runs">
<section data-list="presets" hidden><h3 class="vs-heading">Presets</h3>
<ol></ol><button type="button">Clear the presets</button></section>
<section data-list="runs">
<p class="vs-note">Pictures that you draw are listed here. The list stays in this browser.</p>
<ol></ol><button type="button" hidden>Clear the list</button></section></div>"""
COPY = "(run) => {{ varSpaces.copy(run, '{button}'); }}"
REMEMBER = "(run) => { varSpaces.remember(run); }"
SHOW = "varSpaces.show(element, (link) => trigger('select', { link }));"


def link(*specs: RunSpec) -> str:
    """Address of the page with a run in it, or with the runs of a comparison.

    Inside a Space's frame that is the address of the Space, elsewhere the page that asks: then the
    link starts with ``?``.

    Raises:
        VarSpacesError: if it would be too long.
    """
    space = os.environ.get("SPACE_ID", "")
    texts = [spec.to_json() for spec in specs]
    packed = codecs.to_link(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]")
    return f"{SPACES + space if space else ''}?{PARAMETER}={packed}"


def read(parameter: str) -> list[RunSpec]:
    """The runs of a link, which may come from anybody: one, or those of a comparison.

    Raises:
        VarSpacesError: if the link is damaged or a run is refused.
    """
    text = codecs.from_link(parameter)
    found = codecs.parse_json(text, "The run link")
    if not isinstance(found, list):
        return [RunSpec.from_json(text)]
    if not FEWEST <= len(found) <= MOST:
        raise VarSpacesError(f"A link holds one run, or {FEWEST} to {MOST} that are compared.")
    return [RunSpec.from_json(codecs.canonical(run)) for run in found]


def anchor(spec: RunSpec) -> str:
    """The link of a run as HTML, to copy by hand."""
    address = escape(_link_if_short(spec), quote=True)
    if not address:
        return "This run is too long for a link: share its PNG."
    return f'<a href="{address}" target="_blank" rel="noopener">these settings</a>'


def _link_if_short(*specs: RunSpec) -> str:
    try:
        return link(*specs)
    except VarSpacesError:
        return ""


def share(*views: RunView) -> dict[str, Any] | None:
    """What the browser gets of finished runs, to copy their link and to remember them."""
    if any(view.phase != "done" for view in views):
        return None
    specs = [view.spec for view in views]
    columns = f", {len(specs)} columns" if len(specs) > 1 else ""
    return {
        "id": "-".join(spec.id for spec in specs),
        "title": title(specs[0]) + columns,
        "link": _link_if_short(*specs),
        "picture": pixels.preview(views[0].images[0], THUMBNAIL),
    }


def title(spec: RunSpec) -> str:
    """What a run draws, in a few words; hashes of pictures are no words."""
    return f"{' · '.join(asked(spec)) or spec.task}, seed {spec.seed}"[:120]
