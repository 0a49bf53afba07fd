"""The public API: one typed streaming endpoint per tab, and the services of ``services.py``.

Parameters are called like the flags of the command line and come from the same classes. What is
left out has the default of the model's card. Every message of a stream is the whole state so far,
so that the last one is the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from keyword import iskeyword
from operator import or_
from typing import Any, get_args

import gradio as gr
import numpy as np

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.methods import Option
from var_spaces.pictures import as_mask, check_marked
from var_spaces.ranges import Bounds
from var_spaces.ui import tabs
from var_spaces.ui.api.services import add_services
from var_spaces.ui.api.states import run_state
from var_spaces.ui.api.uploading import PICTURE, Endpoint, add_with_uploads, typed
from var_spaces.ui.form.field import Field
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.values import KINDS, show, shown_method
from var_spaces.ui.queue.line import LANE
from var_spaces.ui.queue.wiring import refusal, refusing
from var_spaces.ui.run import handlers
from var_spaces.validation import shorten
from var_spaces.zoo.cards import get_card


def add_endpoints(names: Iterable[str]) -> None:
    """Add the endpoints to the current Blocks."""
    for name in names:
        form = Form(name)
        if form.takes_pictures:
            add_with_uploads(endpoint(form))
        else:
            gr.api(endpoint(form), api_name=name, **LANE)
    add_services()


def endpoint(form: Form) -> Endpoint:
    """A generator function with one typed parameter per setting of a task."""
    names = _signature(form)

    def draw(*arguments: Any) -> Iterator[dict[str, Any]]:
        given = dict(zip(names, arguments, strict=True))
        with refusing():
            values = fill(form, given)
        with closing(handlers.run(form, values)) as views:
            for view in views:
                if view.phase == "failed":
                    raise refusal(view.message)
                yield run_state(view)

    return typed(draw, form.tab, f"{tabs.words(form.tab).promise} {__doc__}", names)


def _signature(form: Form) -> dict[str, Any]:
    """Names and types of all parameters; what must be given comes first."""
    found = {}
    for name, fields in parameters(form).items():
        found[name] = _annotation(fields)
        if fields[0].mask:
            found[fields[0].mask] = PICTURE | None
    return dict(sorted(found.items(), key=lambda item: type(None) in get_args(item[1])))


@dataclass(frozen=True)
class MethodField:
    """A method of a kind, or one parameter of one method.

    Attributes:
        method: the parameter belongs to; empty for the choice of a method.
    """

    option: Option
    kind: str
    method: str = ""
    role: str = "method"
    is_picture: bool = False
    mask: str = ""


def parameters(form: Form) -> dict[str, list[Field | MethodField]]:
    """Fields of a form by the name of their parameter; methods of a kind share equal names."""
    found: dict[str, list[Field | MethodField]] = {}
    for field in form.fields:
        for each in _methods() if field.role == "methods" else [field]:
            found.setdefault(_name(each), []).append(each)
    return found


def _methods() -> Iterator[MethodField]:
    for kind in KINDS:
        yield MethodField(Option(kind, f"--{kind}", str, False, True, None, "", (), Bounds()), kind)
        for name in methods.names(kind):
            for option in methods.cli_options(methods.get(kind, name)):
                yield MethodField(option, kind, name)


def _name(field: Field | MethodField) -> str:
    if isinstance(field, MethodField):
        if not field.method:
            return field.kind
        return "_".join(filter(None, (methods.FLAG_PREFIXES[field.kind], field.option.field)))
    if field.role == "input":
        name = field.option.field
        return f"{name}_" if iskeyword(name) else name
    return field.key


def _annotation(fields: Sequence[Field | MethodField]) -> Any:
    """The types of all fields that share a parameter; a list may also be given as one value."""
    if fields[0].role == "model":
        return str
    if fields[0].is_picture:
        return PICTURE if fields[0].option.required else PICTURE | None
    lists = [list[f.option.type] for f in fields if f.option.many]
    return reduce(or_, [*(f.option.type for f in fields), *lists, None])


def fill(form: Form, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a form from arguments by parameter name; None is the default.

    Raises:
        VarSpacesError: for an unknown model, a task of another tab, or a parameter that the chosen
            method does not have.
    """
    model = given["model"]
    card = get_card(model if isinstance(model, str) else str(model), "generator")
    values = form.defaults(card)
    for name, fields in parameters(form).items():
        value = given[name]
        if fields[0].is_picture:
            values[fields[0].key] = _drawing(value, given.get(fields[0].mask))
        elif fields[0].role == "input":
            values |= dict.fromkeys((field.key for field in fields), value)
        elif isinstance(fields[0], MethodField):
            if value is not None:
                values["methods"] |= _changed(values["methods"], name, fields, value)
        elif value is not None:
            values[fields[0].key] = show(value, fields[0].option)
    if values["task"] not in form.tasks:
        raise VarSpacesError(
            f"/{form.tab} has no task {shorten(values['task'])}. Tasks: {', '.join(form.tasks)}."
        )
    return values


def _changed(
    chosen: Mapping[str, Any], name: str, fields: Sequence[MethodField], value: Any
) -> dict[str, Any]:
    """What a method, or a parameter of the chosen one, changes."""
    kind = fields[0].kind
    if not fields[0].method:
        return {kind: shown_method(kind, str(value))}
    method = chosen[kind]["name"]
    field = next((f for f in fields if f.method == method), None)
    if field is None:
        raise VarSpacesError(f"The {kind} '{method}' has no parameter '{name}': leave it out.")
    return {kind: {**chosen[kind], field.option.field: show(value, field.option)}}


def _drawing(picture: np.ndarray | None, mask: np.ndarray | None) -> dict[str, Any]:
    """A picture and the mask of a region (bright = region) as an image editor holds them."""
    if mask is None:
        return {"background": picture, "layers": []}
    region = as_mask(mask)
    check_marked(region)
    layer = np.repeat(region[..., None], 4, axis=2)
    return {"background": picture, "layers": [layer]}
