"""Endpoints whose parameters are known only now, and those that take pictures as uploads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import gradio as gr
import numpy as np
from gradio.components.api_component import Api
from gradio_client.utils import python_type_to_json_schema

from var_spaces.ui.form.uploads import be_careful
from var_spaces.ui.queue.line import LANE

Endpoint = Callable[..., Iterator[dict[str, Any]]]
PICTURE = np.ndarray  # how an upload arrives


def typed(draw: Endpoint, name: str, told: str, types: Mapping[str, Any]) -> Endpoint:
    """The same function with a signature: one typed parameter per name.

    Args:
        types: by parameter; what may be None is so by default, and comes last.
    """
    signature = [
        inspect.Parameter(
            parameter,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None if type(None) in get_args(type_) else inspect.Parameter.empty,
            annotation=type_,
        )
        for parameter, type_ in types.items()
    ]
    draw.__name__, draw.__doc__ = name, told
    draw.__signature__ = inspect.Signature(signature, return_annotation=dict[str, Any])
    draw.__annotations__ = dict(types)
    return draw


def add_with_uploads(draw: Endpoint) -> None:
    """As ``gr.api``, which takes no files: the pictures have controls, which read uploads only."""
    be_careful()
    inputs = []
    for parameter in inspect.signature(draw).parameters.values():
        if parameter.annotation in (PICTURE, PICTURE | None):
            inputs.append(
                gr.Image(type="numpy", image_mode="RGBA", label=parameter.name, visible=False)
            )
        else:
            schema = python_type_to_json_schema(parameter.annotation)
            inputs.append(Api(None, schema, parameter.name))
    gr.Button(visible=False).click(
        draw,
        inputs,
        Api(None, python_type_to_json_schema(dict[str, Any])),
        api_name=draw.__name__,
        api_description=draw.__doc__,
        show_progress="hidden",
        **LANE,
    )
