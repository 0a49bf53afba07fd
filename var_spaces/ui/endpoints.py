"""The public API: one typed streaming endpoint per tab, and the services of ``services.py``.

Parameters are called like the flags of the command line and come from the same classes. What is
left out has the default of the model's card. Every message of a stream is the whole state so far,
so that the last one is the result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import reduce
from keyword import iskeyword
from operator import or_
from typing import Any

import gradio as gr

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.ui import handlers, tabs
from var_spaces.ui.form import Field, Form, show
from var_spaces.ui.line import LANE
from var_spaces.ui.services import add_services
from var_spaces.ui.states import run_state
from var_spaces.ui.wiring import refusal, refusing
from var_spaces.zoo.cards import get_card

Endpoint = Callable[..., Iterator[dict[str, Any]]]


def add_endpoints(names: Iterable[str]) -> None:
    """Add the endpoints to the current Blocks."""
    for name in names:
        gr.api(endpoint(Form(name)), api_name=name, **LANE)
    add_services()


def endpoint(form: Form) -> Endpoint:
    """A generator function with one typed parameter per setting of a task."""

    def draw(*arguments: Any) -> Iterator[dict[str, Any]]:
        given = dict(zip(parameters(form), arguments, strict=True))
        with refusing():
            values = fill(form, given)
        with closing(handlers.run(form, values)) as views:
            for view in views:
                if view.phase == "failed":
                    raise refusal(view.message)
                yield run_state(view)

    signature = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if name == "model" else None,
            annotation=_annotation(fields),
        )
        for name, fields in parameters(form).items()
    ]
    draw.__name__, draw.__doc__ = form.tab, f"{tabs.words(form.tab).promise} {__doc__}"
    draw.__signature__ = inspect.Signature(signature, return_annotation=dict[str, Any])
    draw.__annotations__ = {parameter.name: parameter.annotation for parameter in signature}
    return draw


def parameters(form: Form) -> dict[str, list[Field]]:
    """Fields of a form by the name of their parameter; methods of a kind share equal names."""
    found: dict[str, list[Field]] = {}
    for field in form.fields:
        found.setdefault(_name(field), []).append(field)
    return found


def _name(field: Field) -> str:
    match field.role:
        case "input":
            name = field.option.field
            return f"{name}_" if iskeyword(name) else name
        case "parameter":
            return "_".join(filter(None, (methods.FLAG_PREFIXES[field.kind], field.option.field)))
    return field.key


def _annotation(fields: Sequence[Field]) -> Any:
    """The types of all fields that share a parameter; a list may also be given as one value."""
    if fields[0].role == "model":
        return str
    lists = [list[f.option.type] for f in fields if f.option.many]
    return reduce(or_, [*(f.option.type for f in fields), *lists, None])


def fill(form: Form, given: Mapping[str, Any]) -> list[Any]:
    """Values of a form from arguments by parameter name; None is the default.

    Raises:
        VarSpacesError: for an unknown model, or a parameter that the chosen method does not have.
    """
    model = given["model"]
    card = get_card(model if isinstance(model, str) else str(model), "generator")
    values = dict(zip(form.keys, form.defaults(card), strict=True))
    for name, fields in parameters(form).items():
        value = given[name]
        if fields[0].role == "input":
            values[fields[0].key] = value
        elif value is not None:
            field = next((f for f in fields if f.method in ("", values.get(f.kind))), None)
            if field is None:
                kind = fields[0].kind
                raise VarSpacesError(
                    f"The {kind} '{values[kind]}' has no parameter '{name}': leave it out."
                )
            values[field.key] = show(value, field.option)
    return [values[key] for key in form.keys]
