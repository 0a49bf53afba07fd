"""The form of a submission: a suite, who asks, and the same model and methods as everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from leaderboard.entry import Entry
from var_spaces.ui.board import data
from var_spaces.ui.compare.comparing import COLUMN, TAB
from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.layout import Fields
from var_spaces.ui.form.values import KINDS, read_methods
from var_spaces.ui.glossary import term
from var_spaces.ui.queue.wiring import fills, refusing
from var_spaces.zoo.cards import get_card

NOTE = f"""<p class="vs-note">A worker draws the images of the suite with this entry, draws some of
them again to check itself, and adds a row: it is {term("verified", "verified")} if tokens and
numbers are the same. Only registered methods and known models can be submitted; for a model of your
own, add its card first. On the command line: <code>python -m var_spaces add CARD</code>,
<code>python -m leaderboard submit --help</code></p>
"""


class SubmitForm(Fields):
    """Controls of a submission inside the current block.

    Args:
        protocol: in view; its suite is the one to begin with.

    Attributes:
        go: the button.
        said: what came of it.
    """

    def __init__(self, model: str, protocol: str = "") -> None:
        super().__init__(Controls(COLUMN, "submit"), get_card(model))
        gr.HTML(NOTE)
        with gr.Row():
            choices = data.suites()
            self.names = [name for _, name in choices]
            self.suite = gr.Dropdown(
                choices,
                value=self._suite(protocol) or self.names[0],
                label="Suite",
                interactive=True,
                elem_id=self.id("suite"),
            )
            self.who = gr.Textbox(
                label="Your name (shown in the row)",
                interactive=True,
                max_length=96,
                elem_id=self.id("who"),
            )
        with gr.Row():
            with gr.Column(min_width=260):
                self.add("model")
            with gr.Column(min_width=260):
                self.add_methods([("", KINDS, True)])
        self.go = gr.Button("Submit", variant="primary", elem_id=self.id("go"))
        self.said = gr.HTML(elem_id=self.id("said"), elem_classes="vs-note")
        model = self.component("model")
        fills(model.input, self._change_model, model, self.components, go=self.go)

    @property
    def inputs(self) -> dict[str, gr.components.Component]:
        """What :func:`asked` reads, by its names."""
        return {"suite": self.suite, "who": self.who, **self.named}

    def suite_in_view(self, protocol: str | None) -> Any:
        """What another protocol in view changes: its suite, if it can be submitted to."""
        return self._suite(protocol or "") or gr.skip()

    def _suite(self, protocol: str) -> str:
        name = protocol.partition(" ")[0]
        return name if name in self.names else ""

    def _change_model(self, model: str) -> dict:
        with refusing():
            card = get_card(model or "", "generator")
            task = fits.tasks(TAB, card)[0]
            return self.filled(COLUMN.defaults(card), {"model": model}, task=task)


def asked(suite: str, who: str, model: str, methods: Mapping[str, Any]) -> tuple[str, Entry, str]:
    """Suite, entry and name of a filled form.

    Raises:
        VarSpacesError: for a value that is refused.
    """
    return suite or "", Entry.of(model or "", **read_methods(methods)), who or ""
