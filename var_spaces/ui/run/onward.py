"""Where a finished picture leads: to other tabs, to more of its kind, to a preset, as HTML.

``js/onward.js`` does it: it knows which tabs are there, and takes the picture from the page.
"""

from __future__ import annotations

from functools import cache
from html import escape

from var_spaces.ui import tabs
from var_spaces.ui.form.form import Form
from var_spaces.ui.own.lessons import LESSONS
from var_spaces.ui.run.view import RunView

VARIATIONS = 4


def onward(view: RunView) -> str:
    """Buttons under the pictures of a finished run; "" while there is none."""
    if view.phase != "done" or view.spec is None:
        return ""
    run = escape(view.spec.to_json(), quote=True)
    more = f'<button type="button" data-more="{VARIATIONS}">{VARIATIONS} variations</button>'
    keep = f'<button type="button" data-keep="{view.spec.id}">Keep as preset</button>'
    if len(view.pictures) > 1:
        where = '<span class="vs-note">Click a picture to enlarge it and to go on with it.</span>'
    else:
        where = f"<span>Go on with it:</span>{sends()}"
    return f'<div class="vs-next" data-run="{run}">{where}{more}{keep}</div>'


@cache
def sends() -> str:
    """A button for every tab that begins with a picture, and for the comparison of a run; the
    browser hides those that are not there."""
    known = tabs.ordered({*tabs.names(), *LESSONS})
    found = [name for name in known if name in LESSONS or Form(name).takes_pictures]
    names = {**{name: tabs.words(name).title for name in found}, "compare": "Compare"}
    return "".join(
        f'<button type="button" data-send="{name}">{escape(title)}</button>'
        for name, title in names.items()
    )
