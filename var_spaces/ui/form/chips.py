"""Examples to click on, with their pictures; which ones there are depends on the model and task."""

from __future__ import annotations

from html import escape

import gradio as gr

from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import element_id
from var_spaces.ui.form.examples import CHOSEN, Example, examples
from var_spaces.ui.form.form import Form
from var_spaces.ui.gallery.pictures import example_tile
from var_spaces.zoo.cards import Card, get_card

# Tells the page the number of the example.
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest(".vs-chip");
  if (button) trigger("select", { number: Number(button.dataset.number) });
});"""


class Chips:
    """A row of buttons in the current column; none if no task of the tab has an example.

    Attributes:
        shown: the component, in a list that is empty if there is none; its ``select`` event carries
            the number of the example.
    """

    def __init__(self, form: Form, card: Card | None, task: str | None = None) -> None:
        self.form = form
        self.shown: list[gr.HTML] = []
        if card is None:
            return
        row = self._row(card, task or fits.tasks(form.tab, card)[0])
        self.shown = [
            gr.HTML(
                row,
                js_on_load=PICK,
                apply_default_css=False,
                elem_classes="vs-chips",
                elem_id=element_id(form.tab, "examples"),
            )
        ]

    def updates(self, model: str, task: str) -> list[str]:
        """What another model or task changes."""
        return [self._row(get_card(model, "generator"), task) for _ in self.shown]

    def _row(self, card: Card, task: str) -> str:
        found = examples(task, card)[: len(CHOSEN)]
        if not found:
            return ""
        chips = "".join(self._chip(number, example) for number, example in enumerate(found))
        told = '<span class="vs-chips-label">Try one:</span>'
        return f'<div class="vs-chips-row">{told}{chips}</div>'

    def _chip(self, number: int, example: Example) -> str:
        name = element_id(self.form.tab, f"example-{number}")
        picture = example_tile(example.source or example.inputs, example.scene)
        return (
            f'<button type="button" class="vs-chip" id="{name}" data-number="{number}">'
            f"{picture}<span>{escape(example.label)}</span></button>"
        )
