"""The part of a tab that asks: controls of all fields, in sections, and the buttons.

The one place where fields become components; other layouts derive from :class:`Fields`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from var_spaces.spec import RunSpec
from var_spaces.ui import tabs
from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import Controls, Section, element_id
from var_spaces.ui.form.field import Field
from var_spaces.ui.form.handed import HANDED
from var_spaces.ui.form.needs import Needs
from var_spaces.ui.form.pictures import is_drawn_on
from var_spaces.ui.own.present import follow
from var_spaces.ui.own.visitors import session
from var_spaces.ui.queue.wiring import QUICK
from var_spaces.ui.words import SECTIONS, label
from var_spaces.zoo.cards import Card

DICE = "() => String(crypto.getRandomValues(new Uint32Array(1))[0])"


class Fields:
    """Components of a form or of a part of one, laid out by whoever derives from this."""

    def __init__(
        self,
        controls: Controls,
        card: Card | None,
        task: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self.controls, self.form, self.card = controls, controls.form, card
        self.task = task or (fits.tasks(self.form.tab, card)[0] if card else None)
        fresh = self.form.defaults(card) if card else dict.fromkeys(self.form.keys)
        self._values = values or fresh
        self._components: dict[str, gr.components.Component] = {}

    @property
    def named(self) -> dict[str, gr.components.Component]:
        """The components by field; events hand their values over so (``inputs_kwargs``)."""
        return {key: self._components[key] for key in self.form.keys}

    @property
    def small(self) -> dict[str, gr.components.Component]:
        """The same without pictures, for events that need not see them."""
        return {k: part for k, part in self.named.items() if not self.form.field(k).is_picture}

    @property
    def components(self) -> list[gr.components.Component]:
        return list(self.named.values())

    def filled(
        self, values: Mapping[str, Any], standing: Mapping[str, Any] | None = None, **known: str
    ) -> dict[gr.components.Component, Any]:
        """What events return to fill the components; see ``Controls.updates``."""
        updates = self.controls.updates(values, standing, **known)
        return {self._components[key]: update for key, update in updates.items()}

    def component(self, key: str) -> gr.components.Component:
        return self._components[key]

    def id(self, part: str) -> str:
        return element_id(self.controls.prefix, part)

    def add(self, key: str) -> None:
        """The component of a field."""
        field = self.form.field(key)
        made = self.controls.make(field, self.card, self.task, self._values[key])
        self._components[key] = made
        if field.role == "model":
            follow(self.controls.known_models, made)

    def add_inputs(self) -> None:
        """The task if there is a choice, pictures and prompts, then small inputs side by side."""
        self.add("task")
        inputs = [field for field in self.form.fields if field.role == "input"]
        for field in inputs:
            if is_wide(field):
                if is_drawn_on(field):
                    gr.HTML(_hint(field), elem_classes="vs-note vs-hint vs-over")
                self.add(field.key)
        with gr.Row(elem_classes="vs-inputs"):
            for field in inputs:
                if not is_wide(field):
                    self.add(field.key)

    def add_methods(self, sections: Sequence[Section]) -> None:
        """One method of each kind, and the parameters of those that are chosen."""
        self._components["methods"] = self.controls.make_methods(
            self.card, self.task, self._values["methods"], sections
        )

    def add_seed(self) -> None:
        """The seed and the die beside it."""
        with gr.Row(elem_classes="vs-seed"):
            self.add("seed")
            self.dice = gr.Button(
                "⚄ Roll", scale=0, min_width=88, size="md", elem_id=self.id("dice")
            )
        self.dice.click(None, None, self.component("seed"), js=DICE, **QUICK)

    def add_buttons(self, go: str, ready: bool = True) -> None:
        """What starts and what stops a run."""
        with gr.Row(elem_classes="vs-buttons"):
            self.go = gr.Button(
                go, variant="primary", interactive=ready, scale=2, elem_id=self.id("go")
            )
            self.stop = gr.Button(
                "Stop",
                variant="stop",
                interactive=False,
                scale=1,
                min_width=96,
                elem_id=self.id("stop"),
            )


class FormLayout(Fields):
    """The whole form of a tab inside the current column.

    Attributes:
        go, stop, dice, drop: the buttons, and the place to drop a picture on.
        needs: what a run needs in memory; None where runs begin with a picture.
    """

    def __init__(self, controls: Controls, card: Card | None, spec: RunSpec | None = None) -> None:
        filled = controls.form.values(spec, HANDED.of(session())) if spec else None
        super().__init__(controls, card, spec.task if spec else None, filled)
        with gr.Group(elem_classes="vs-card"):
            self.add("model")
            self.add_inputs()
            self.add_seed()
            with gr.Row(elem_classes="vs-inputs"):
                self.add("count")
                self.add("first")
        self.add_buttons(tabs.words(self.form.tab).go, card is not None)
        self.add_methods(
            [(title, kinds, i == 0) for i, (title, kinds) in enumerate(SECTIONS.items())]
        )
        self.needs = None if self.form.takes_pictures else Needs(self.controls.prefix)
        with gr.Accordion("Restore the settings of a picture", open=True):
            self.drop = gr.File(
                label="A PNG that was saved here",
                show_label=False,
                file_types=[".png", ".json"],
                interactive=True,
                height=110,
                elem_id=self.id("drop"),
            )


def _hint(field: Field) -> str:
    """What an image editor is for, above it: its tools would cover a label. Styles show what is so:
    nothing without the editor, and the second where a region is asked for."""
    if not field.mask:
        return label(field.key)
    handed = f"{label(field.key)}: hand it in"
    return f"<span>{handed}</span><span>{handed}, then paint over what is to change</span>"


def is_wide(field: Field) -> bool:
    """Whether an input takes the whole width: pictures and sentences."""
    return field.is_picture or field.option.content == "prompt"
