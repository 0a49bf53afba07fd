"""The part of a tab that asks: controls of all fields, in sections, and the buttons.

The one place where fields become components; other layouts derive from :class:`Fields`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import gradio as gr

from var_spaces import methods
from var_spaces.ui import tabs
from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import Controls, element_id, settings
from var_spaces.ui.form.form import Field
from var_spaces.ui.form.needs import Needs
from var_spaces.ui.queue.wiring import CAREFUL, QUICK
from var_spaces.ui.words import SECTIONS, label, method_note
from var_spaces.zoo.cards import Card

DICE = "() => String(crypto.getRandomValues(new Uint32Array(1))[0])"


class Fields:
    """Components of a form or of a part of one, laid out by whoever derives from this.

    Attributes:
        components: one per field, in the order of ``form.fields``.
    """

    def __init__(
        self,
        controls: Controls,
        card: Card | None,
        task: str | None = None,
        values: Sequence[Any] = (),
    ) -> None:
        self.controls, self.form, self.card = controls, controls.form, card
        self.task = task or (fits.tasks(self.form.tab, card)[0] if card else None)
        values = values or (self.form.defaults(card) if card else [None] * len(self.form.fields))
        self._values = dict(zip(self.form.keys, values, strict=True))
        self._components: dict[str, gr.components.Component] = {}
        self._parts: dict[str, dict[str, gr.Column]] = {}  # kind -> method -> its parameters

    @property
    def components(self) -> list[gr.components.Component]:
        return [self._components[key] for key in self.form.keys]

    def component(self, key: str) -> gr.components.Component:
        return self._components[key]

    def show_chosen_methods(self, quiet: dict[str, Any]) -> None:
        """Show the parameters of the chosen method of every kind, hide the others."""
        for kind, parts in self._parts.items():
            if len(parts) > 1:
                names = tuple(parts)
                self._components[kind].change(
                    lambda chosen, names=names: [gr.update(visible=n == chosen) for n in names],
                    self._components[kind],
                    list(parts.values()),
                    **quiet,
                )

    def id(self, part: str) -> str:
        return element_id(self.controls.prefix, part)

    def add(self, key: str) -> None:
        """The component of a field."""
        self._components[key] = self.controls.make(
            self.form.field(key), self.card, self.task, self._values[key]
        )

    def add_inputs(self) -> None:
        """The task if there is a choice, pictures and prompts, then small inputs side by side."""
        self.add("task")
        inputs = [field for field in self.form.fields if field.role == "input"]
        for field in inputs:
            if is_wide(field):
                if field.mask:
                    gr.HTML(label(field.word), elem_classes="vs-note vs-hint")
                self.add(field.key)
        with gr.Row(elem_classes="vs-inputs"):
            for field in inputs:
                if not is_wide(field):
                    self.add(field.key)

    def add_kind(self, kind: str) -> None:
        """The methods of a kind and the parameters of each."""
        self.add(kind)
        self._parts[kind] = {}
        for name in methods.names(kind):
            chosen = self._values[kind] == name
            with gr.Column(visible=chosen, elem_classes="vs-part", min_width=0) as part:
                if len(methods.names(kind)) > 1:
                    gr.HTML(method_note(kind, name), elem_classes="vs-note")
                for field in self.parameters(kind, name):
                    self.add(field.key)
            self._parts[kind][name] = part

    def add_compact(self, kinds: Iterable[str]) -> None:
        """The methods of some kinds, each with one line of settings."""
        for kind in kinds:
            self.add(kind)
            self.add(f"{kind}.settings")
            self.component(kind).input(
                partial(settings, kind),
                self.component(kind),
                self.component(f"{kind}.settings"),
                **CAREFUL,
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

    def parameters(self, kind: str, name: str) -> list[Field]:
        return [f for f in self.form.fields if (f.kind, f.method) == (kind, name)]


class FormLayout(Fields):
    """The whole form of a tab inside the current column.

    Attributes:
        go, stop, dice, drop: the buttons, and the place to drop a picture on.
        needs: what a run needs in memory; None where runs begin with a picture.
    """

    def __init__(self, controls: Controls, card: Card | None) -> None:
        super().__init__(controls, card)
        with gr.Group(elem_classes="vs-card"):
            self.add("model")
            self.add_inputs()
            self.add_seed()
            self.add("count")
        self.add_buttons(tabs.words(self.form.tab).go, card is not None)
        for i, (title, kinds) in enumerate(SECTIONS.items()):
            with gr.Accordion(title, open=i == 0, visible=self._has_choices(kinds)):
                for kind in kinds:
                    self.add_kind(kind)
                if "sampling" in kinds:
                    self.add("first")
        self.needs = None if self.form.takes_pictures else Needs(self.controls.prefix)
        with gr.Accordion("Restore the settings of a picture", open=True):
            self.drop = gr.File(
                label="A PNG that was saved here",
                show_label=False,
                file_types=[".png", ".json"],
                height=110,
                elem_id=self.id("drop"),
            )

    def _has_choices(self, kinds: tuple[str, ...]) -> bool:
        return any(
            len(methods.names(kind)) > 1 or self.parameters(kind, methods.names(kind)[0])
            for kind in kinds
        )


def is_wide(field: Field) -> bool:
    """Whether an input takes the whole width: pictures and sentences."""
    return field.is_picture or field.option.content == "prompt"
