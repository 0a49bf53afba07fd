"""The tab that puts runs side by side: shared inputs, two to four columns, where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from var_spaces.compare.interleave import LETTERS
from var_spaces.compare.presets import PRESETS, presets
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.compare import battle, compare_html, comparing, grid
from var_spaces.ui.compare.comparing import COLUMN, FEWEST, MOST, SHARED, TAB, WHOLE, Board
from var_spaces.ui.form import fits
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.handed import HANDED
from var_spaces.ui.form.layout import Fields
from var_spaces.ui.form.values import KINDS
from var_spaces.ui.own.visitors import session
from var_spaces.ui.queue.wiring import QUICK, fills, refusal, refusing, runs
from var_spaces.ui.run import handlers, links, stage
from var_spaces.ui.run.screen import LIVE
from var_spaces.ui.run.slider import MOVE
from var_spaces.ui.run.view import RunView
from var_spaces.zoo.cards import Card, get_card

# Those that are compared most often first, without a heading.
COLUMN_SECTIONS = (
    ("", ("cache", "decoding", "guidance"), True),
    ("Choosing tokens (sampling)", ("sampling",), False),
)
ABOUT = (
    '<p class="vs-about">Two to four runs of one thing from the same seed: change a model or a '
    "method in a column, and see where the pictures part and what it costs.</p>"
)
NONE = "Choose one, or set the columns below"
CHOOSE = """element.addEventListener("change", event => {
  if (event.target.name === "vs-pair") element.querySelectorAll(".vs-pair").forEach(
    part => part.hidden = part.dataset.pair !== event.target.value);
});"""


def build_compare(specs: Sequence[RunSpec] = ()) -> None:
    """Lay out and wire the tab inside the current Blocks.

    Args:
        specs: accepted runs that fill its columns; one is compared with what the first preset makes
            of it.
    """
    if len(specs) == 1:
        specs = beside(specs[0])
    model = specs[0].model if specs else handlers.first_model(TAB)
    card = get_card(model) if model else None
    with gr.Tabs(selected="side", overflow_behavior="wrap"):
        with gr.Tab("Side by side", id="side", elem_id="compare-side"):
            if card:
                gr.HTML(ABOUT, apply_default_css=False)
                _side_by_side(card, specs)
            else:
                gr.HTML(compare_html.status(Board(phase="failed", message="No model was found.")))
        if card:
            with gr.Tab("Grid (X/Y)", elem_id="compare-grid"):
                grid.build_grid(card)
            with gr.Tab("Blind battle", elem_id="compare-battle"):
                battle.build_battle(card)


def beside(spec: RunSpec) -> list[RunSpec]:
    """A run, and the same with what a preset of two columns changes; else twice the same.

    Raises:
        VarSpacesError: if it is of another tab.
    """
    spec = handlers.accept(TAB, spec).replace(count=1, first=0)
    pairs = (p for p in presets(spec) if len(p.columns) == FEWEST)
    preset = next(pairs, None)
    return comparing.columns(preset, spec) if preset else [spec, spec]


def filled(specs: Sequence[RunSpec]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Values of what the columns share, and of each column.

    Raises:
        VarSpacesError: if the runs ask for different things.
    """
    asked = specs[0].replace(count=1, first=0)
    own = {name: getattr(asked, name) for name in ("model", *KINDS)}
    if any(spec.replace(**own) != asked for spec in specs):
        raise VarSpacesError("The runs of this link differ in more than models and methods.")
    return SHARED.values(asked, HANDED.of(session())), [COLUMN.values(spec) for spec in specs]


class Shared(Fields):
    """What all columns have in common."""

    def __init__(
        self,
        card: Card,
        task: str | None = None,
        values: Mapping[str, Any] | None = None,
        columns: int = 0,
    ) -> None:
        super().__init__(Controls(SHARED, "compare"), card, task, values)
        with gr.Group(elem_classes="vs-card"):
            with gr.Row(elem_classes="vs-inputs"):
                known = presets(WHOLE.plain(card, self.task))
                pairs = (p for p in known if len(p.columns) == FEWEST)
                self.first = None if columns else next(pairs, None)
                self.preset = gr.Dropdown(
                    [NONE, *(preset.name for preset in known)],
                    value=self.first.name if self.first else NONE,
                    label="Comparison",
                    interactive=True,
                    elem_id=self.id("preset"),
                )
                self.count = gr.Radio(
                    list(range(FEWEST, MOST + 1)),
                    value=columns or FEWEST,
                    label="Columns",
                    interactive=True,
                    elem_id=self.id("n"),
                )
            self.add_inputs()
            self.add_seed()
            for key in ("count", "first"):  # one picture each
                with gr.Row(visible=False):
                    self.add(key)
        self.add_buttons("Compare")


class Column(Fields):
    """Model and methods of one column; events tell columns apart by their letter."""

    def __init__(
        self, number: int, card: Card, task: str, values: Mapping[str, Any] | None = None
    ) -> None:
        self.letter = LETTERS[number]
        prefix = f"compare-{self.letter.lower()}"
        super().__init__(Controls(COLUMN, prefix), card, task, values)
        gr.HTML(f'<h3 class="vs-letter">{self.letter}</h3>')
        with gr.Group(elem_classes="vs-card"):
            self.add("model")
            self.add_methods(COLUMN_SECTIONS)

    @property
    def lettered(self) -> dict[str, gr.components.Component]:
        """The components by field and letter."""
        return {_lettered(self.letter, key): part for key, part in self.named.items()}


def _lettered(letter: str, key: str) -> str:
    return f"{letter}.{key}"


def own(given: Mapping[str, Any], letter: str) -> dict[str, Any]:
    """The values of a column among those of all."""
    return {key: given[_lettered(letter, key)] for key in COLUMN.keys}


def _side_by_side(card: Card, specs: Sequence[RunSpec]) -> None:
    common, each = filled(specs) if specs else (None, [])
    shared = Shared(card, specs[0].task if specs else None, common, len(specs))
    if shared.first:
        each = comparing.preset_values(shared.first, WHOLE.plain(card))
    shown = len(specs) or FEWEST
    holders, columns = [], []
    with gr.Row(elem_classes="vs-columns vs-settings"):
        for number in range(MOST):
            with gr.Column(visible=number < shown, min_width=230) as holder:
                values = each[number] if number < len(each) else None
                own_card = get_card(values["model"]) if values else card
                columns.append(Column(number, own_card, shared.task, values))
            holders.append(holder)
    status = gr.HTML(
        stage.restored("The comparison is back.", "Compare", specs[0], HANDED.of(session()))
        if specs
        else compare_html.status(Board()),
        elem_id="compare-status",
        js_on_load=LIVE,
    )
    views = []
    with gr.Row(elem_classes="vs-columns vs-beside"):
        for number in range(MOST):
            html = compare_html.column(RunView(schedule=card.schedule), number)
            views.append(
                gr.HTML(html, visible=number < shown, elem_classes="vs-card", min_width=230)
            )
    pairs = gr.HTML(
        visible=False, elem_id="compare-pairs", elem_classes="vs-card", js_on_load=MOVE + CHOOSE
    )
    link = gr.Button("Copy link", interactive=False, elem_id="compare-link", size="md")
    cost = gr.HTML(visible=False, elem_id="compare-cost", elem_classes="vs-card")
    share = gr.JSON(visible=False)  # for the browser: what js/share.js reads
    link.click(None, share, None, js=links.COPY.format(button="compare-link"), **QUICK)
    phase = gr.State("empty")
    screen = [status, *views, pairs, cost, link, share, phase]
    run = _wire(shared, columns, holders, screen)
    run.success(None, share, None, js=links.REMEMBER, **QUICK)


def _wire(
    shared: Shared,
    columns: Sequence[Column],
    holders: Sequence[gr.Column],
    screen: list[gr.components.Component],
) -> Dependency:
    """Everything that changes the columns; returns what draws them."""
    every = {name: part for column in columns for name, part in column.lettered.items()}
    task, model = shared.component("task"), columns[0].component("model")
    views = screen[1 : 1 + MOST]
    chosen = fills(
        shared.preset.input,
        partial(_preset, shared, columns),
        [shared.preset, task, model],
        [shared.count, *every.values()],
        go=shared.go,
    )
    run = runs(
        [shared.go.click, shared.component("seed").submit],
        _draw,
        [shared.count],
        screen,
        named={**shared.named, **every},
        status=screen[0],
        stop=shared.stop,
    )
    shared.stop.click(_stop, [screen[-1], screen[0]], screen, cancels=[run], **QUICK)
    for changed in (shared.count.change, chosen.success):
        changed(
            lambda n: [gr.update(visible=i < n) for i in range(MOST)] * 2,
            shared.count,
            [*holders, *views],
            **QUICK,
        )
    for asked in (task, model):
        fills(
            asked.input,
            partial(_change_asked, shared, columns, asked is model),
            None,
            [shared.preset, *shared.components, *every.values()],
            inputs_kwargs={**shared.small, **every},
            go=shared.go,
        )
    for column in columns[1:]:
        other = column.component("model")
        change = partial(_change_model, column)
        fills(other.input, change, [task, other], column.components, go=shared.go)
    return run


def _preset(shared: Shared, columns: Sequence[Column], name: str, task: str, model: str) -> dict:
    """The columns that a preset sets; those it does not need stay as they are."""
    preset = next((preset for preset in PRESETS if preset.name == name), None)
    if preset is None:
        return {shared.count: gr.skip()}
    with refusing():
        each = comparing.preset_values(
            preset, WHOLE.plain(get_card(model or "", "generator"), task)
        )
        updates: dict = {shared.count: len(each)}
        for column, values in zip(columns, each, strict=False):
            updates |= column.filled(values, task=task)
        return updates


def _change_asked(shared: Shared, columns: Sequence[Column], anew: bool, **given: Any) -> dict:
    """What another task, or another model of the first column, changes: what can be asked for, and
    the columns whose models cannot do it, which follow the first.

    Args:
        anew: the first column has another model.
    """
    with refusing():
        each = [own(given, column.letter) for column in columns]
        models = [get_card(values["model"] or "", "generator") for values in each]
        asked = SHARED.defaults(models[0], keep=given)
        task = asked["task"]
        choices = [preset.name for preset in presets(WHOLE.plain(models[0], task))]
        updates = {shared.preset: gr.update(choices=[NONE, *choices], value=NONE)}
        updates |= shared.filled(asked, given, model=models[0].id)
        for column, values, model in zip(columns, each, models, strict=True):
            follows = task not in fits.tasks(TAB, model) or (anew and column is columns[0])
            if task == given["task"] and not follows:
                continue
            filling = COLUMN.defaults(models[0]) if follows else values
            updates |= column.filled(filling, values, task=task)
        return updates


def _change_model(column: Column, task: str, model: str) -> dict:
    """Another column starts with the defaults of its new model."""
    with refusing():
        card = get_card(model or "", "generator")
        possible = fits.tasks(TAB, card)
        known = task if task in possible else possible[0]
        return column.filled(COLUMN.defaults(card), {"model": model}, task=known)


def _draw(columns: int, **given: Any) -> Iterator[tuple]:
    """Run some columns, and show what changed; closing it stops them."""
    each = [own(given, letter) for letter in LETTERS[:columns]]
    try:
        specs, pictures = comparing.request(SHARED.shown(given, model=each[0]["model"]), each)
    except VarSpacesError as error:
        yield _refused(str(error))
        raise refusal(str(error)) from None
    HANDED.keep(session(), pictures)
    with closing(comparing.run(specs, pictures)) as boards:
        for board in boards:
            yield _show(board)
            if board.phase == "failed":
                raise refusal(board.message)


def _show(board: Board) -> tuple:
    columns = [
        compare_html.column(view, number) if board.changed in (None, number) else gr.skip()
        for number, view in enumerate(board.views)
    ]
    columns += [gr.skip()] * (MOST - len(columns))
    pairs, cost = compare_html.pairs(board), compare_html.cost(board)
    return (
        compare_html.status(board),
        *columns,
        gr.update(value=pairs, visible=bool(pairs)),
        gr.update(value=cost, visible=bool(cost)),
        gr.update(interactive=board.phase == "done"),
        links.share(*board.views) if board.phase == "done" else None,
        board.phase,
    )


def _refused(message: str) -> tuple:
    said = compare_html.status(Board(phase="failed", message=message))
    return (said, *[gr.skip()] * (MOST + 4), "failed")


def _stop(phase: str, said: str | None) -> tuple:
    said = stage.stopped(said) if phase in ("loading", "running") else gr.skip()
    return (said, *[gr.skip()] * (MOST + 4), "stopped")
