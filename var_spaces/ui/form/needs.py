"""What a run will need in memory: the numbers of ``python -m var_spaces estimate`` on the page.

They are computed when the section is opened, and again when a setting changes while it is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.ui.form.form import Form
from var_spaces.ui.queue.wiring import CAREFUL, QUICK
from var_spaces.ui.words import bytes_text

# Asks anew if anybody can see the answer.
_AGAIN = """() => {{
  if (document.getElementById("{shown}")?.offsetParent)
    document.getElementById("{again}").click();
}}"""


def needs(form: Form, given: Mapping[str, Any]) -> str:
    """One sentence, whether a run fits and what would, and a table of its parts, as HTML.

    Args:
        given: values of the form's fields.
    """
    try:
        planned = plan(form.spec(given))
        from var_spaces.zoo.fitting import report

        found = report(
            planned.card,
            cache=planned.cache,
            guidance=planned.guidance,
            decoding=planned.decoding,
            schedule=planned.schedule,
            count=planned.spec.count,
        )
    except VarSpacesError as error:
        return f'<p class="vs-note">{escape(str(error))}</p>'
    rows = "".join(
        f'<tr><th scope="row">{escape(part)}</th><td>{bytes_text(size)}</td><td>{how}</td></tr>'
        for part, size, how in found.rows
    )
    return (
        f"<p>{escape(found.said(bytes_text))}</p>"
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Memory that a run needs">'
        f'<table class="vs-table"><tbody>{rows}</tbody></table></div>'
    )


class Needs:
    """The section inside the current column.

    Args:
        name: prefix of ids on the page.
    """

    def __init__(self, name: str) -> None:
        self.ids = {"shown": f"{name}-needs", "again": f"{name}-needs-again"}
        self.section = gr.Accordion("What this run needs (memory)", open=False)
        with self.section:
            self.shown = gr.HTML(elem_id=self.ids["shown"])
        self.again = gr.Button("Ask again", visible="hidden", elem_id=self.ids["again"])

    def follow(self, form: Form, named: Mapping[str, gr.components.Component]) -> None:
        """Answer for a form when the section is opened, and while it is open.

        Args:
            named: the component of every field of the form.
        """
        gr.on(
            [self.section.expand, self.again.click],
            lambda **given: needs(form, given),
            None,
            self.shown,
            inputs_kwargs=named,
            trigger_mode="always_last",
            **CAREFUL,
        )
        told = [part.change for part in named.values()]
        gr.on(told, None, None, js=_AGAIN.format(**self.ids), **QUICK)
