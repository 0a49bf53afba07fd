"""Drawing with what was learned: a prompt, ideas to click on, and for styles a whole table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from var_spaces.errors import VarSpacesError
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.layout import DICE
from var_spaces.ui.own.lessons import Lesson, bases
from var_spaces.ui.own.matrix import build_matrix
from var_spaces.ui.own.prompts import request
from var_spaces.ui.own.shelf_view import ShelfView
from var_spaces.ui.queue.lined_up import lined_up
from var_spaces.ui.queue.wiring import CAREFUL, QUICK, refusal
from var_spaces.ui.run import handlers, links
from var_spaces.ui.run.downloads import files
from var_spaces.ui.run.screen import Screen
from var_spaces.ui.run.view import RunView

FORM = Form("generate")
PRESS = "() => document.getElementById('{button}').click()"
SEED = 1
DRAW = "Draw with it"
FIRST = "Draw with it, once it has learned"
IDEAS = {
    "subject": (
        "a photo of <it>",
        "<it> on a blue background",
        "<it> and a red apple",
        "<it> on a pink background",
        "<it> in flat style",
    ),
    "style": (
        "<content> in flat style",
        "<content> on a blue background",
        "a car in <style>",
        "a castle in <style>",
        "<content> in <style>",
    ),
}


def build_drawing(lesson: Lesson, taken: ShelfView) -> None:
    """Lay out and wire it inside the current column."""

    def name(part: str) -> str:
        return f"{lesson.tab}-own-{part}"

    ideas = IDEAS[lesson.tab]
    holder = gr.Accordion(**_offered(taken.chosen.value), elem_classes="vs-draw")
    with holder:
        prompt = gr.Textbox(
            ideas[0], label="What to draw (prompt)", lines=1, max_lines=3, elem_id=name("prompt")
        )
        with gr.Row(elem_classes="vs-chips"):
            gr.HTML("Ideas:", elem_classes="vs-chips-label")
            chips = [
                gr.Button(idea, size="sm", elem_classes="vs-chip", elem_id=name(f"idea-{number}"))
                for number, idea in enumerate(ideas)
            ]
        with gr.Row(elem_classes="vs-seed"):
            seed = gr.Textbox(str(SEED), label="Seed", max_lines=1, elem_id=name("seed"))
            dice = gr.Button("⚄ Roll", scale=0, min_width=88, size="md", elem_id=name("dice"))
            go = gr.Button("Draw", variant="primary", scale=1, elem_id=name("go"))
            stop = gr.Button(
                "Stop",
                variant="stop",
                interactive=False,
                scale=0,
                min_width=88,
                elem_id=name("stop"),
            )
        dice.click(None, None, seed, js=DICE, **QUICK)
        matrix = build_matrix(taken, seed) if lesson.tab == "style" else None
        screen = Screen(f"{lesson.tab}-own", _empty())
    taken.chosen.change(lambda model: gr.update(**_offered(model)), taken.chosen, holder, **CAREFUL)
    run = lined_up(
        f"{lesson.tab}-own",
        [go.click, prompt.submit, seed.submit],
        partial(_draw, f"{lesson.tab}-own"),
        [],
        screen.outputs,
        named={"model": taken.chosen, "prompt": prompt, "seed": seed},
        status=screen.status,
        stop=stop,
        stopped=(Screen.stopped, [screen.phase, screen.status], screen.outputs),
    )
    press = PRESS.format(button=name("go"))
    for number, chip in enumerate(chips):
        said = chip.click(lambda number=number: ideas[number], None, prompt, **QUICK)
        said.success(None, None, None, js=press, **QUICK)
    if matrix:
        picked = matrix.select(_picked, None, prompt, **QUICK)
        picked.success(None, None, None, js=press, **QUICK)
    screen.link.click(
        None, screen.share, None, js=links.COPY.format(button=f"{lesson.tab}-own-link"), **QUICK
    )
    run.success(None, screen.share, None, js=links.REMEMBER, **QUICK)


def _offered(model: str | None) -> dict[str, Any]:
    """What the part that draws shows of itself: with nothing to draw with it is closed, and says
    what comes first."""
    return {"label": DRAW if model else FIRST, "open": bool(model)}


def _picked(event: gr.EventData) -> str:
    """The prompt of a cell of the table, which is what is drawn large."""
    return str(event.prompt)[:400]


def _empty() -> RunView:
    known = bases()
    view = handlers.empty(next(iter(known), None))
    return (
        replace(view, promise="Click an idea, and what you trained is drawn here.")
        if known
        else view
    )


def _draw(name: str, model: str | None, prompt: str, seed: str) -> Iterator[tuple]:
    try:
        values = FORM.values(request(model, prompt, seed))
    except VarSpacesError as error:
        yield Screen.show(RunView().failed(str(error)), None, name)
        raise refusal(str(error)) from None
    with closing(handlers.run(FORM, values)) as views:
        for view in views:
            yield Screen.show(view, None, name)
            if view.phase == "done":
                with files(view) as paths:
                    yield Screen.show(view, paths, name)
            if view.phase == "failed":
                raise refusal(view.message)
