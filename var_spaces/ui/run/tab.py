"""A tab of tasks: its form on one side, its screen on the other, wired together.

This is the only layout and the only wiring of the task tabs; a task brings its class, not a tab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from var_spaces.spec import RunSpec
from var_spaces.ui import tabs
from var_spaces.ui.form.chips import Chips
from var_spaces.ui.form.controls import Controls, element_id
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.handed import HANDED
from var_spaces.ui.form.layout import FormLayout
from var_spaces.ui.own.visitors import session
from var_spaces.ui.queue.lined_up import lined_up
from var_spaces.ui.queue.wiring import CAREFUL, PRIVATE_LANE, QUICK, fills, refusal, refusing
from var_spaces.ui.run import handlers, links, stage
from var_spaces.ui.run.control_view import KIND, ControlView
from var_spaces.ui.run.downloads import files
from var_spaces.ui.run.screen import Screen
from var_spaces.ui.run.steps import Steps
from var_spaces.ui.run.steps_view import SOURCE, StepsView
from var_spaces.zoo.cards import get_card

PRESS = "() => document.getElementById('{button}').click()"


@dataclass(frozen=True, eq=False)
class Tab:
    """What else of the page may need of a tab.

    Attributes:
        run: the event that draws.
    """

    controls: Controls
    layout: FormLayout
    screen: Screen
    chips: Chips
    run: Dependency

    @property
    def form(self) -> Form:
        return self.controls.form

    @property
    def restored(self) -> list[gr.components.Component]:
        """What :meth:`restore` changes."""
        return [self.screen.status, *self.layout.components, *self.chips.shown]

    def restore(self, spec: RunSpec) -> list[Any]:
        """The form filled with an accepted spec, and a line that says so."""
        filled = self.controls.updates(self.form.values(spec, HANDED.of(session())))
        chips = self.chips.updates(spec.model, spec.task)
        return [_restored(self.form, spec), *filled.values(), *chips]


def _restored(form: Form, spec: RunSpec | None) -> str | None:
    """The line that says that settings are back; None without any."""
    if spec is None:
        return None
    said = f"Settings of run {spec.id} are back."
    return stage.restored(said, tabs.words(form.tab).go, spec, HANDED.of(session()))


def build_tab(name: str, spec: RunSpec | None = None) -> Tab:
    """Lay out and wire a tab inside the current Blocks.

    Args:
        spec: an accepted run that fills it.
    """
    about = tabs.about(name)
    if about:
        gr.HTML(about, apply_default_css=False)
    form, model = Form(name), spec.model if spec else handlers.first_model(name)
    card = get_card(model) if model else None
    controls, chips = Controls(form), Chips(form, card, spec.task if spec else None)
    with gr.Row(elem_classes="vs-tab"):
        with gr.Column(scale=5, min_width=300, elem_classes="vs-form"):
            layout = FormLayout(controls, card, spec)
        with gr.Column(scale=11, min_width=320, elem_classes="vs-screen"):
            screen = Screen(name, handlers.empty(model, name), _restored(form, spec))
            steps = StepsView(form, layout.component(SOURCE)) if form.edits else None
            view = ControlView(form) if KIND in form.keys else None
    if view:
        view.follow(layout)
    run = _wire_run(layout, screen, chips, steps)
    tab = Tab(controls, layout, screen, chips, run)
    _wire(tab)
    return tab


def _wire_run(
    layout: FormLayout, screen: Screen, chips: Chips, steps: StepsView | None = None
) -> Dependency:
    """Everything that starts and stops a run."""
    form = layout.form
    run = lined_up(
        form.tab,
        [layout.go.click, layout.component("seed").submit],
        partial(_draw_step, form, steps) if steps else partial(_draw, form),
        [steps.state] if steps else [],
        [*screen.outputs, *(steps.outputs if steps else [])],
        named=layout.named,
        status=screen.status,
        stop=layout.stop,
        stopped=(Screen.stopped, [screen.phase, screen.status], screen.outputs),
    )

    # gradio hands over what is annotated with its own types
    def example(model: str, task: str, event: gr.EventData) -> dict:
        with refusing():
            return layout.filled(handlers.example(form, int(event.number), model, task))

    for shown in chips.shown:
        filled = shown.select(
            example,
            [layout.component("model"), layout.component("task")],
            layout.components,
            **(PRIVATE_LANE if form.takes_pictures else CAREFUL),
        )
        filled.success(None, None, None, js=PRESS.format(button=layout.go.elem_id), **QUICK)
    return run


def _wire(tab: Tab) -> None:
    """What changes the form, and what a visitor takes home."""
    layout, screen = tab.layout, tab.screen
    for key in ("model", "task"):
        fills(
            layout.component(key).input,
            partial(_change, tab, key),
            screen.phase,
            [screen.stage, screen.more, *tab.restored],
            inputs_kwargs=layout.small,
            go=layout.go,
        )
    dropped = partial(_restore, tab)
    restored = fills(layout.drop.upload, dropped, layout.drop, tab.restored, go=layout.go)
    for ended in (restored.success, restored.failure):  # ready for another picture
        ended(lambda: None, None, layout.drop, **QUICK)
    if layout.needs:
        layout.needs.follow(tab.form, layout.named)
    copy = links.COPY.format(button=element_id(tab.form.tab, "link"))
    screen.link.click(None, screen.share, None, js=copy, **QUICK)
    tab.run.success(None, screen.share, None, js=links.REMEMBER, **QUICK)


def _draw(form: Form, **given: Any) -> Iterator[tuple]:
    """Run, and show every view of the run; closing it stops the run."""
    given = form.shown(given)
    handed: Mapping[str, Any] = {}
    with closing(handlers.run(form, given)) as views:
        for view in views:
            handed = view.handed or handed
            yield Screen.show(view, None)
            if view.phase == "done":  # the picture is seen while its files are written
                HANDED.keep(session(), handed)
                with files(view) as paths:
                    yield Screen.show(view, paths)
            if view.phase == "failed":
                raise refusal(view.message)


def _draw_step(form: Form, shown: StepsView, steps: Steps, **given: Any) -> Iterator[tuple]:
    """As :func:`_draw`, for an edit that is a step of a chain."""
    given = form.shown(given)
    handed: Mapping[str, Any] = {}
    with closing(handlers.run(form, given, shown.origin(steps, given))) as views:
        for view in views:
            handed = view.handed or handed
            yield (*Screen.show(view, None), *shown.same())
            if view.phase == "done":
                HANDED.keep(session(), handed)
                with files(view) as paths:
                    yield (*Screen.show(view, paths), *shown.grown(steps, given, view))
            if view.phase == "failed":
                raise refusal(view.message)


def _change(tab: Tab, key: str, phase: str, **given: Any) -> list[Any]:
    """What another model or task changes; a screen that is still empty shows its scales."""
    form = tab.form
    with refusing():
        new = handlers.changed(form, key, given)
        view = handlers.empty(new["model"], form.tab)
        status, pictures, costs = Screen.empty(view) if phase == "empty" else (gr.skip(),) * 3
        chips = tab.chips.updates(new["model"], new["task"])
        filled = tab.controls.updates(new, given)
        return [pictures, costs, status, *filled.values(), *chips]


def _restore(tab: Tab, path: str) -> list[Any]:
    with refusing():
        return tab.restore(handlers.restore(tab.form, path))
