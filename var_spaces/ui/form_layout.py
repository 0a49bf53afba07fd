"""The part of a tab that asks: controls of all fields, in sections, and the buttons."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from var_spaces import methods
from var_spaces.ui.controls import control, element_id
from var_spaces.ui.form import Field, Form
from var_spaces.ui.words import SECTIONS, explanation
from var_spaces.zoo.cards import Card


class FormLayout:
    """Lays the form out inside the current column.

    Attributes:
        controls: one component per field, in the order of ``form.fields``.
        go, stop, dice, drop: the buttons, and the place to drop a picture on.
    """

    def __init__(self, form: Form, card: Card | None) -> None:
        self.form, self.card = form, card
        values = form.defaults(card) if card else [None] * len(form.fields)
        self._values = dict(zip(form.keys, values, strict=True))
        self._controls: dict[str, gr.components.Component] = {}
        self._parts: dict[str, dict[str, gr.Column]] = {}  # kind -> method -> its parameters

        with gr.Group(elem_classes="vs-card"):
            self._add("model")
            with gr.Row(elem_classes="vs-inputs"):
                for field in form.fields:
                    if field.role == "input":
                        self._add(field.key)
            with gr.Row(elem_classes="vs-seed"):
                self._add("seed")
                self.dice = gr.Button(
                    "⚄ Roll", scale=0, min_width=88, size="md", elem_id=self._id("dice")
                )
            self._add("count")
        with gr.Row(elem_classes="vs-buttons"):
            self.go = gr.Button(
                "Generate",
                variant="primary",
                interactive=card is not None,
                scale=2,
                elem_id=self._id("go"),
            )
            self.stop = gr.Button(
                "Stop",
                variant="stop",
                interactive=False,
                scale=1,
                min_width=96,
                elem_id=self._id("stop"),
            )
        for i, (title, kinds) in enumerate(SECTIONS.items()):
            with gr.Accordion(title, open=i == 0, visible=self._has_choices(kinds)):
                self._kinds(kinds)
                if "sampling" in kinds:
                    self._add("first")
        with gr.Accordion("Restore the settings of a picture", open=True):
            self.drop = gr.File(
                label="A PNG that was saved here",
                show_label=False,
                file_types=[".png", ".json"],
                height=110,
                elem_id=self._id("drop"),
            )

    @property
    def controls(self) -> list[gr.components.Component]:
        return [self._controls[key] for key in self.form.keys]

    def control(self, key: str) -> gr.components.Component:
        return self._controls[key]

    def show_chosen_methods(self, quiet: dict[str, Any]) -> None:
        """Show the parameters of the chosen method of every kind, hide the others."""
        for kind, parts in self._parts.items():
            if len(parts) > 1:
                names = tuple(parts)
                self._controls[kind].change(
                    lambda chosen, names=names: [gr.update(visible=n == chosen) for n in names],
                    self._controls[kind],
                    list(parts.values()),
                    **quiet,
                )

    # --- pieces -----------------------------------------------------------------------------------

    def _id(self, part: str) -> str:
        return element_id(self.form.task, part)

    def _add(self, key: str) -> None:
        field = self.form.fields[self.form.keys.index(key)]
        self._controls[key] = control(self.form.task, field, self.card, self._values[key])

    def _parameters(self, kind: str, name: str) -> list[Field]:
        return [f for f in self.form.fields if (f.kind, f.method) == (kind, name)]

    def _kinds(self, kinds: tuple[str, ...]) -> None:
        for kind in kinds:
            self._add(kind)
            self._parts[kind] = {}
            for name in methods.names(kind):
                chosen = self._values[kind] == name
                with gr.Column(visible=chosen, elem_classes="vs-part", min_width=0) as part:
                    if len(methods.names(kind)) > 1:
                        gr.HTML(method_note(kind, name), elem_classes="vs-note")
                    for field in self._parameters(kind, name):
                        self._add(field.key)
                self._parts[kind][name] = part

    def _has_choices(self, kinds: tuple[str, ...]) -> bool:
        return any(
            len(methods.names(kind)) > 1 or self._parameters(kind, methods.names(kind)[0])
            for kind in kinds
        )


def method_note(kind: str, name: str) -> str:
    """What a method does, in one sentence, and where it comes from."""
    cls = methods.get(kind, name)
    link = (
        f' <a href="{escape(cls.paper, quote=True)}" target="_blank" rel="noopener">Paper</a>'
        if cls.paper.startswith("https://")
        else ""
    )
    return explanation(cls) + link
