"""One component of the page per field of a form, chosen by the field's type and range alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from var_spaces import methods
from var_spaces.ui.form import fits
from var_spaces.ui.form.form import (
    Field,
    Form,
    applies,
    card_choices,
    is_card_input,
)
from var_spaces.ui.form.pictures import BRUSH, EDITOR_SIDE, KEPT, SKETCHES, is_drawn_on
from var_spaces.ui.form.schema import FREE, MAX_STEPS, step_of
from var_spaces.ui.form.uploads import be_careful
from var_spaces.ui.form.values import KINDS, is_free_number, is_text
from var_spaces.ui.words import LIMITS, label, limits, plural
from var_spaces.zoo.cards import Card, base_of, get_card

INKS = ("#1d1c1a", "#a33327", "#e0b15c", "#1c6b5f", "#4a7fc1", "#ffffff")
ANY, NOTHING = "any", ""  # how "leave it out" reads, and how it travels
MAX_PROMPT_LINES = 4
PLAIN = str | int | float | Mapping | None  # values that can be told to be equal

Section = tuple[str, Sequence[str], bool]


class Controls:
    """Makes and updates the components of a form.

    Args:
        form: whose fields they are.
        prefix: of their ids on the page, which are unique: ``generate-seed``.
    """

    def __init__(self, form: Form, prefix: str = "") -> None:
        self.form, self.prefix = form, prefix or form.tab

    def make(
        self, field: Field, card: Card | None, task: str | None, value: object
    ) -> gr.components.Component:
        """The component of a field, filled with ``value``."""
        option = field.option
        common = {"label": label(field.key), "elem_id": element_id(self.prefix, field.key)}
        if field.is_picture:
            common |= {"value": None if value is KEPT else value, "interactive": True}
            return _picture(field, {**common, "visible": applies(field, card, task)})
        common |= {"value": value, "info": _help(field, card), "interactive": True}
        common["visible"] = applies(field, card, task)
        choices = self._choices(field, card)
        if choices is not None:
            common |= {"value": _chosen(value, choices)}
            common["visible"] = common["visible"] and _is_choice(field, choices)
            return gr.Dropdown(choices, filterable=True, **common)
        if is_text(option):
            lines = MAX_PROMPT_LINES if option.content == "prompt" else 1
            common |= {"placeholder": FREE} if is_free_number(option) else {}
            return gr.Textbox(lines=min(lines, 2), max_lines=lines, **common)
        if option.type is bool:
            return gr.Checkbox(**common)
        low, high = option.range.low, option.range.high
        step = 1 if option.type is int else step_of(low, high)
        if None in (low, high) or (high - low) / step > MAX_STEPS:
            precision = 0 if option.type is int else None
            limits = {"minimum": low, "maximum": high}
            return gr.Number(precision=precision, step=step, **limits, **common)
        return gr.Slider(low, high, step=step, **common)

    def make_methods(
        self, card: Card | None, task: str | None, value: object, sections: Sequence[Section]
    ) -> gr.HTML:
        """The component of the methods; the browser makes the controls of those that are chosen.

        Args:
            sections: title, kinds, and whether it is open.
        """
        told = json.dumps([self.prefix, sections])
        return gr.HTML(
            self._methods(card, task, value),
            html_template='<div class="vs-methods"></div>',
            js_on_load=f"varSpaces.methods(element, props, watch, trigger, ...{told})",
            apply_default_css=False,
            elem_id=element_id(self.prefix, "methods"),
        )

    @staticmethod
    def _methods(card: Card | None, task: str | None, value: object) -> object:
        """The methods that are chosen, and which can be chosen with a model."""
        if card is None or not isinstance(value, Mapping):
            return None
        names = {kind: fits.method_names(task, card, kind) for kind in KINDS}
        return {**value, "names": names}

    def update(self, field: Field, card: Card, task: str, value: object) -> Any:
        """What changes in a component when the form is filled anew."""
        if not applies(field, card, task):
            return gr.update(visible=False)  # the browser would not take a new value
        if field.is_picture:
            return gr.update(visible=True, **({} if value is KEPT else {"value": value}))
        if field.role == "methods":
            return self._methods(card, task, value)
        if field.role == "model":
            return gr.update(value=value, info=_help(field, card))
        # what a model cannot do changes with it
        told = {"info": _help(field, card)} if field.key in LIMITS else {}
        choices = self._choices(field, card)
        if choices is None or field.option.choices:
            shown = {"value": value, "visible": True, **told}
            return gr.update(**shown) if field.role == "input" else value
        return gr.update(
            value=_chosen(value, choices),
            choices=choices,
            visible=_is_choice(field, choices),
            **told,
        )

    def updates(
        self, values: Mapping[str, Any], standing: Mapping[str, Any] | None = None, **known: str
    ) -> dict[str, Any]:
        """Updates of all components by field, in the order of the fields.

        Args:
            values: of all fields; pictures that are left out stay as they are.
            standing: what components hold; they are not told again, since the visitor may have
                gone on meanwhile.
            known: ``model`` and ``task`` of a part of a form that does not hold them.
        """
        kept = {field.key: KEPT for field in self.form.fields if field.is_picture}
        given = {**kept, **known, **values}
        card, task = get_card(given["model"] or "", "generator"), given["task"]
        found = {
            field.key: self.update(field, card, task, given[field.key])
            for field in self.form.fields
        }
        standing = standing or {}
        return {k: _news(part, standing[k]) if k in standing else part for k, part in found.items()}

    def known_models(self) -> Any:
        """What changes in the choice of a model when there are others than before."""
        return gr.update(choices=self._choices(self.form.field("model"), None))

    def _choices(self, field: Field, card: Card | None) -> list[tuple[str, str]] | None:
        """``(shown, value)`` of a field with choices, else None."""
        match field.role:
            case "model":
                return [(found.title, found.id) for found in fits.models(self.form.tab).values()]
            case "task":
                names = fits.tasks(self.form.tab, card) if card else []
                return [(methods.get("task", name).title, name) for name in names]
        names = card_choices(card, field) or field.option.choices
        if not names and not is_card_input(field):
            return None
        free = [] if field.option.required or field.option.choices else [(ANY, NOTHING)]
        return [*((str(name), name) for name in names), *free]


def _picture(field: Field, common: dict[str, Any]) -> gr.components.Component:
    """Where a picture is handed in and, if the task asks for a region, drawn on."""
    be_careful()
    sources = ["upload", "clipboard"]
    common = {"format": "png", **common}  # what is put there stays the picture that it is
    if not is_drawn_on(field):
        return gr.Image(type="numpy", image_mode="RGBA", sources=sources, height=280, **common)
    if field.key in SKETCHES:
        return gr.ImageEditor(
            show_label=False,
            type="numpy",
            image_mode="RGBA",
            sources=sources,
            transforms=(),
            layers=False,
            brush=gr.Brush(default_size=14, colors=list(INKS)),
            canvas_size=(EDITOR_SIDE, EDITOR_SIDE),
            height=430,
            **common,
        )
    colour = "#{:02x}{:02x}{:02x}".format(*BRUSH[:3])
    return gr.ImageEditor(
        show_label=False,
        type="numpy",
        image_mode="RGBA",
        sources=sources,
        transforms=(),
        layers=False,
        brush=gr.Brush(default_size=48, colors=[colour], color_mode="fixed"),
        canvas_size=(EDITOR_SIDE, EDITOR_SIDE),
        height=430,
        **common,
    )


def _news(update: Any, standing: object) -> Any:
    """An update without a value that stands there already."""
    whole = isinstance(update, Mapping) and "__type__" in update
    value = update.get("value", ...) if whole else update
    plain = isinstance(value, PLAIN) and isinstance(standing, PLAIN)
    if not plain or value != standing:
        return update
    return {k: v for k, v in update.items() if k != "value"} if whole else gr.skip()


def _is_choice(field: Field, choices: list[tuple[str, str]]) -> bool:
    """Whether a dropdown is worth showing: nobody needs to choose one task of one."""
    return field.role != "task" or len(choices) > 1


def _chosen(value: object, choices: list[tuple[str, str]]) -> object:
    """A value as a dropdown holds it."""
    return NOTHING if value is None and (ANY, NOTHING) in choices else value


def element_id(prefix: str, key: str) -> str:
    """``sampling.top-k-top-p.top_k`` of ``generate`` -> ``generate-sampling-top-k-top-p-top_k``."""
    return f"{prefix}-{key}".replace(".", "-")


def _help(field: Field, card: Card | None) -> str | None:
    """What a model is, or cannot do; what is plain needs no help."""
    if field.role == "model":
        return model_note(card)
    return limits(field.key, base_of(card).id) if card is not None else None


def model_note(card: Card | None) -> str:
    """What a model is, in one line."""
    if card is None:
        return "No model was found."
    parts = [card.id, f"{card.resolution} px"]
    parts += [plural(len(card.classes), "class", "classes")] if card.classes else []
    parts += [plural(len(card.styles), "style")] if card.styles else []
    parts += [plural(card.schedule.num_scales, "scale"), plural(card.schedule.total, "token")]
    return escape(" · ".join(parts))
