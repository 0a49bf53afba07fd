"""One component of the page per field of a form, chosen by the field's type and range alone."""

from __future__ import annotations

from html import escape

import gradio as gr

from var_spaces import methods
from var_spaces.ui import fits
from var_spaces.ui.form import Field, card_choices, is_text
from var_spaces.ui.words import label, plural, sentence
from var_spaces.zoo.cards import Card

MAX_STEPS = 1000  # finer ranges are typed, not dragged
ANY, NOTHING = "any", ""  # how "leave it out" reads, and how it travels


def control(task: str, field: Field, card: Card | None, value: object) -> gr.components.Component:
    """The component of a field of a task's form, filled with ``value``."""
    option = field.option
    common = {"label": label(field.word), "value": value, "info": _help(field, card)}
    common["elem_id"] = element_id(task, field.key)
    choices = dropdown_choices(task, field, card)
    if choices is not None:
        common |= {"value": _chosen(value, choices), "interactive": True}
        return gr.Dropdown(choices, filterable=True, visible=_is_choice(field, choices), **common)
    if is_text(option):
        return gr.Textbox(max_lines=1, interactive=True, **common)
    if option.type is bool:
        return gr.Checkbox(interactive=True, **common)
    low, high = option.range.low, option.range.high
    step = 1 if option.type is int else _step(low, high)
    if None in (low, high) or (high - low) / step > MAX_STEPS:
        precision = 0 if option.type is int else None
        limits = {"minimum": low, "maximum": high}
        return gr.Number(precision=precision, step=step, interactive=True, **limits, **common)
    return gr.Slider(low, high, step=step, interactive=True, **common)


def dropdown_choices(task: str, field: Field, card: Card | None) -> list[tuple[str, str]] | None:
    """``(shown, value)`` of a field with choices, else None."""
    match field.role:
        case "model":
            return [(found.title, found.id) for found in fits.models(task).values()]
        case "method":
            names = fits.method_names(task, card, field.kind) if card else []
            entries = methods.entries(field.kind)
            return [(entry.title, entry.name) for entry in entries if entry.name in names]
    names = card_choices(card, field) or field.option.choices
    if not names and not is_card_input(field):
        return None
    free = [] if field.option.required or field.option.choices else [(ANY, NOTHING)]
    return [*((str(name), name) for name in names), *free]


def is_card_input(field: Field) -> bool:
    """Whether the choices of an input are names that the model knows."""
    return field.role == "input" and field.option.field in ("class", "style")


def update(task: str, field: Field, card: Card, value: object) -> dict:
    """What changes in a component when the form is filled anew."""
    if field.role == "model":
        return gr.update(value=value, info=_help(field, card))
    if field.role != "method" and not is_card_input(field):
        return gr.update(value=value)
    choices = dropdown_choices(task, field, card)
    shown = _chosen(value, choices)
    return gr.update(value=shown, choices=choices, visible=_is_choice(field, choices))


def _is_choice(field: Field, choices: list[tuple[str, str]]) -> bool:
    """Whether a dropdown is worth showing: nobody needs to choose one method of one."""
    return field.role != "method" or len(choices) > 1


def _chosen(value: object, choices: list[tuple[str, str]]) -> object:
    """A value as a dropdown holds it."""
    return NOTHING if value is None and (ANY, NOTHING) in choices else value


def element_id(task: str, key: str) -> str:
    """``sampling.top-k-top-p.top_k`` of ``generate`` -> ``generate-sampling-top-k-top-p-top_k``."""
    return f"{task}-{key}".replace(".", "-")


def _help(field: Field, card: Card | None) -> str | None:
    """What a model is, what a parameter of a method does; what is plain needs no help."""
    if field.role == "model":
        return model_note(card)
    return sentence(field.option.help) if field.role == "parameter" else None


def model_note(card: Card | None) -> str:
    """What a model is, in one line."""
    if card is None:
        return "No model was found."
    parts = [f"{card.resolution} px"]
    parts += [plural(len(card.classes), "class", "classes")] if card.classes else []
    parts += [plural(len(card.styles), "style")] if card.styles else []
    parts += [plural(card.schedule.num_scales, "scale"), plural(card.schedule.total, "token")]
    return escape(" · ".join(parts))


def _step(low: float | None, high: float | None) -> float:
    """A round step of about a hundredth of the range, and no coarser than people type."""
    span = (high - low) if None not in (low, high) else 1.0
    return 0.1 if span > 10 else 0.01
