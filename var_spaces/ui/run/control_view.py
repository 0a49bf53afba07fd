"""Beside the form of a control: the map as the model will see it, and many prompts along it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import gradio as gr

from var_spaces.compare.grid import Axis
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.ui.compare import grid
from var_spaces.ui.compare.grid import Grid
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.layout import FormLayout
from var_spaces.ui.queue.wiring import PICTURES, QUICK, runs
from var_spaces.ui.run import handlers, stage
from var_spaces.ui.run.screen import LIVE

KIND, PARTS = "inputs.control", ("inputs.source", "inputs.map", "inputs.control", "model")
PROMPTS = "a castle in flat style\na castle in glossy style\na house on a pink background"
MOST = 8
ENDED = "{n} pictures along one map."


class ControlView:
    """It inside the current column; :meth:`follow` wires it."""

    def __init__(self, form: Form) -> None:
        self.form = form

        def name(part: str) -> str:
            return f"{form.tab}-{part}"

        self.preview = gr.HTML(
            visible=False, elem_id=name("preview"), elem_classes="vs-card", apply_default_css=False
        )
        with gr.Accordion("The same control with several prompts", open=False):
            self.prompts = gr.Textbox(
                PROMPTS,
                label="Prompts, one in a line",
                lines=3,
                max_lines=MOST,
                elem_id=name("prompts"),
            )
            with gr.Row(elem_classes="vs-buttons"):
                self.go = gr.Button("Draw all of them", scale=2, elem_id=name("all-go"))
                self.stop = gr.Button(
                    "Stop", variant="stop", interactive=False, scale=1, elem_id=name("all-stop")
                )
            self.status = gr.HTML(elem_id=name("all-status"), js_on_load=LIVE)
            self.table = gr.HTML(visible=False, elem_id=name("all"))

    def follow(self, layout: FormLayout) -> None:
        """Show the map whenever what it comes from changes; draw all prompts on a click."""
        told = [layout.component(key).change for key in PARTS]
        gr.on(
            told,
            partial(_preview, self.form),
            None,
            self.preview,
            inputs_kwargs=layout.named,
            trigger_mode="always_last",
            **PICTURES,
        )
        drawing = runs(
            [self.go.click],
            partial(_draw_all, self.form),
            [self.prompts],
            [self.status, self.table],
            named=layout.named,
            status=self.status,
            stop=self.stop,
        )
        self.stop.click(stage.stopped, self.status, self.status, cancels=[drawing], **QUICK)


def _preview(form: Form, **given: Any) -> Any:
    """The map as the model sees it; nothing while there is none, or it cannot be made."""
    try:
        spec, pictures = form.request(form.shown(given))
        planned = plan(spec)
        uri = handlers.before(planned, planned.read_pictures(pictures))
    except VarSpacesError:
        uri = ""
    words = "The map that the model will see"
    shown = (
        f'<figure class="vs-changes"><figcaption><b>{words}</b><span>Strength and the scales that '
        "see it are set in the form. After a run it lies under the picture, behind a line to drag."
        f'</span></figcaption><img class="vs-crisp" src="{uri}" alt="{words}"></figure>'
    )
    return gr.update(value=shown if uri else "", visible=bool(uri))


def plan_prompts(form: Form, prompts: str, given: Mapping[str, Any]) -> Grid:
    """One run per prompt, everything else equal.

    Raises:
        VarSpacesError: if there are none or too many, or one is refused.
    """
    asked = [line.strip() for line in (prompts or "").splitlines() if line.strip()]
    if not 1 <= len(asked) <= MOST:
        raise VarSpacesError(f"Give 1 to {MOST} prompts, one in a line, not {len(asked)}.")
    spec, pictures = form.request(given)
    spec = spec.replace(count=1, first=0)
    row = [plan(spec.replace(inputs={**spec.inputs, "prompt": text})).spec for text in asked]
    return Grid(Axis("prompt", tuple(asked)), None, (tuple(row),), pictures=pictures)


def _draw_all(form: Form, prompts: str, **given: Any) -> Iterator[tuple[Any, Any]]:
    yield from grid.drawn(lambda: plan_prompts(form, prompts, form.shown(given)), ENDED)
