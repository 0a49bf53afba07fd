"""Examples as buttons; which ones there are depends on the model and the task."""

from __future__ import annotations

import gradio as gr

from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import element_id
from var_spaces.ui.form.examples import CHOSEN, examples
from var_spaces.ui.form.form import Form
from var_spaces.zoo.cards import Card, get_card


class Chips:
    """A row of buttons in the current column; none if no task of the tab has an example."""

    def __init__(self, form: Form, card: Card | None, task: str | None = None) -> None:
        self.buttons: list[gr.Button] = []
        if card is None:
            return
        labels = self._labels(card, task or fits.tasks(form.tab, card)[0])
        with gr.Row(elem_classes="vs-chips"):
            gr.HTML("Try one:", elem_classes="vs-chips-label")
            self.buttons = [
                gr.Button(
                    text or "",
                    visible=text is not None,
                    size="sm",
                    elem_classes="vs-chip",
                    elem_id=element_id(form.tab, f"example-{number}"),
                )
                for number, text in enumerate(labels)
            ]

    def updates(self, model: str, task: str) -> list[dict]:
        """What another model or task changes."""
        labels = self._labels(get_card(model, "generator"), task) if self.buttons else []
        return [gr.update(value=text or "", visible=text is not None) for text in labels]

    @staticmethod
    def _labels(card: Card, task: str) -> list[str | None]:
        labels = [example.label for example in examples(task, card)][: len(CHOSEN)]
        return [*labels, *[None] * (len(CHOSEN) - len(labels))]
