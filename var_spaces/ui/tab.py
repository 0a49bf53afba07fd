"""The tab of a task: its form on one side, its screen on the other, wired together.

This is the only layout and the only wiring of the app; a task brings its class, not a tab.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr
from gradio.events import Dependency

from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui import handlers, stage
from var_spaces.ui.controls import element_id, update
from var_spaces.ui.downloads import files
from var_spaces.ui.examples import examples
from var_spaces.ui.form import Form
from var_spaces.ui.form_layout import FormLayout
from var_spaces.ui.line import LANE
from var_spaces.ui.screen import Screen
from var_spaces.zoo.cards import get_card

DICE = "() => String(crypto.getRandomValues(new Uint32Array(1))[0])"
# On a phone the screen is below the form: show it when a run starts. Hands its arguments on.
LOOK = """(...values) => {{
  if (window.innerWidth <= 640) document.getElementById("{status}").scrollIntoView(
    {{behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"}});
  return values;
}}"""
COPY = "(run) => {{ varSpaces.copy(run, '{button}'); }}"
REMEMBER = "(run) => { varSpaces.remember(run); }"
HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}
QUICK = {**HIDDEN, "queue": False}  # for what cannot fail: the queue is what reports errors
CAREFUL = {**HIDDEN, "concurrency_limit": None}


@dataclass(frozen=True, eq=False)
class Tab:
    """What else of the page may need of a tab.

    Attributes:
        runs: events that draw.
    """

    form: Form
    layout: FormLayout
    screen: Screen
    runs: Sequence[Dependency]

    @property
    def restored(self) -> list[gr.components.Component]:
        """What :meth:`restore` changes."""
        return [self.screen.status, *self.layout.controls]

    def restore(self, spec: RunSpec) -> list[Any]:
        """The form filled with an accepted spec, and a line that says so."""
        said = f"Settings of run {spec.id} are back. Press Generate to draw it again."
        return [stage.notice(said), *_fill(self.form, self.form.values(spec))]


def build_tab(task: str) -> Tab:
    """Lay out and wire the tab of a task inside the current Blocks."""
    form, model = Form(task), handlers.first_model(task)
    card = get_card(model) if model else None
    chips = _chips(form, examples(card)) if card else []
    with gr.Row(elem_classes="vs-tab"):
        with gr.Column(scale=5, min_width=300, elem_classes="vs-form"):
            layout = FormLayout(form, card)
        with gr.Column(scale=11, min_width=320, elem_classes="vs-screen"):
            screen = Screen(task, handlers.empty(model))
    tab = Tab(form, layout, screen, _wire_runs(form, layout, screen, chips))
    _wire(tab)
    return tab


def _chips(form: Form, specs: Sequence[Any]) -> list[tuple[gr.Button, list[Any]]]:
    """A button per example, with the values it fills in."""
    with gr.Row(elem_classes="vs-chips"):
        gr.HTML("Try one:", elem_classes="vs-chips-label")
        return [
            (
                gr.Button(
                    " · ".join(str(value) for value in spec.inputs.values() if value is not None),
                    size="sm",
                    elem_classes="vs-chip",
                    elem_id=element_id(form.task, f"example-{i}"),
                ),
                form.values(spec),
            )
            for i, spec in enumerate(specs)
        ]


def _wire_runs(
    form: Form, layout: FormLayout, screen: Screen, chips: Sequence[tuple]
) -> list[Dependency]:
    """Everything that starts and stops a run."""
    controls, seed = layout.controls, layout.control("seed")
    filled = [
        button.click(partial(_fill, form, values), None, controls, **CAREFUL)
        for button, values in chips
    ]
    starts = [layout.go.click, seed.submit, *(event.success for event in filled)]
    outputs = [*screen.outputs, layout.stop]
    runs = [
        start(
            partial(_draw, form),
            controls,
            outputs,
            js=LOOK.format(status=element_id(form.task, "status")),
            api_visibility="private",
            show_progress="full",  # says the place in the queue
            show_progress_on=screen.status,
            **LANE,
        )
        for start in starts
    ]
    for start in starts:  # a run that waits can be stopped, too
        start(lambda: gr.update(interactive=True), None, layout.stop, **QUICK)
    layout.stop.click(_stop, screen.phase, outputs, cancels=runs, **QUICK)
    return runs


def _wire(tab: Tab) -> None:
    """What changes the form, and what a visitor takes home."""
    form, layout, screen = tab.form, tab.layout, tab.screen
    controls = layout.controls
    layout.dice.click(None, None, layout.control("seed"), js=DICE, **QUICK)
    layout.control("model").input(
        partial(_change_model, form),
        [screen.phase, *controls],
        [screen.status, screen.stage, screen.cost, *controls],
        **CAREFUL,
    )
    restored = layout.drop.upload(partial(_restore, tab), layout.drop, tab.restored, **CAREFUL)
    for ended in (restored.success, restored.failure):  # ready for another picture
        ended(lambda: None, None, layout.drop, **QUICK)
    layout.show_chosen_methods(QUICK)
    copy = COPY.format(button=element_id(form.task, "link"))
    screen.link.click(None, screen.share, None, js=copy, **QUICK)
    for run in tab.runs:
        run.success(None, screen.share, None, js=REMEMBER, **QUICK)


def _draw(form: Form, *values: Any) -> Iterator[tuple]:
    """Run, and show every view of the run; closing it stops the run."""
    with closing(handlers.run(form, values)) as views:
        for view in views:
            with files(view) as paths:
                yield (*Screen.show(view, paths), gr.update(interactive=view.is_active))
            if view.phase == "failed":
                raise refusal(view.message)


def _stop(phase: str) -> tuple:
    """What Stop shows; that it ends the run is in the wiring."""
    return (*Screen.stopped(phase), gr.update(interactive=False))


def _fill(form: Form, values: Sequence[Any]) -> list[Any]:
    with refusing():
        card = get_card(values[form.keys.index("model")], "generator")
        return [
            update(form.task, field, card, value)
            for field, value in zip(form.fields, values, strict=True)
        ]


def _change_model(form: Form, phase: str, *values: Any) -> list[Any]:
    """New defaults; a screen that is still empty shows the scales of the new model."""
    with refusing():
        new = handlers.change_model(form, values)
        view = handlers.empty(new[form.keys.index("model")])
    fresh = Screen.pictures(view) if phase == "empty" else (gr.skip(),) * 3
    return [*fresh, *_fill(form, new)]


def _restore(tab: Tab, path: str) -> list[Any]:
    with refusing():
        return tab.restore(handlers.restore(tab.form, path))


@contextmanager
def refusing() -> Iterator[None]:
    """Our own refusals reach the visitor as their one line."""
    try:
        yield
    except VarSpacesError as error:
        raise refusal(str(error)) from None


def refusal(message: str) -> gr.Error:
    """One line for the visitor; nothing else, and no traceback in the log."""
    return gr.Error(escape(message, quote=False), print_exception=False)
