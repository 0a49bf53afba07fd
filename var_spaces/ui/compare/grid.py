"""X/Y grids: one run per pair of values of two parameters, filled in as the runs end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from var_spaces import api
from var_spaces.compare.grid import Axis, axis, cells, paths
from var_spaces.errors import VarSpacesError
from var_spaces.events import Event, Finished
from var_spaces.spec import RunSpec
from var_spaces.ui.compare.comparing import WHOLE
from var_spaces.ui.form.controls import Controls
from var_spaces.ui.form.layout import Fields
from var_spaces.ui.form.values import read_methods
from var_spaces.ui.queue.gpu import on_gpu
from var_spaces.ui.queue.limits import in_time
from var_spaces.ui.queue.wiring import QUICK, UNEXPECTED, fills, refusal, refusing, runs
from var_spaces.ui.run import handlers, pixels, stage
from var_spaces.ui.run.screen import LIVE
from var_spaces.ui.words import SECTIONS, bytes_text, seconds_text
from var_spaces.zoo.cards import Card, get_card

NOTHING = "none"
KEPT = ("model", "task")
ENDED = "{n} runs; each cell is the single run with its values."

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid so far.

    Attributes:
        done: picture as a data URI, seconds and bytes of the cache of every cell that is drawn,
            row by row.
        pictures: that the runs name, by content hash.
    """

    x: Axis
    y: Axis | None
    rows: tuple[tuple[RunSpec, ...], ...]
    done: tuple[tuple[str, float, int], ...] = ()
    pictures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.rows))


def _specs(grid: Grid) -> Iterator[RunSpec]:
    yield from (spec for row in grid.rows for spec in row)


@partial(on_gpu, specs=_specs)
def run(grid: Grid) -> Iterator[Grid]:
    """The grid after every run; closing it stops the one that is drawn.

    Raises:
        VarSpacesError: when all runs together take longer than one run may.
    """
    with closing(_events(grid)) as events:
        for event in in_time(events):
            if isinstance(event, Finished):
                grid = replace(grid, done=(*grid.done, _cell(event)))
                yield grid


def _events(grid: Grid) -> Iterator[Event]:
    for spec in _specs(grid):
        given = grid.pictures or None
        with closing(api.stream(spec, previews=False, images=given)) as events:
            yield from events


def _cell(event: Finished) -> tuple[str, float, int]:
    record = event.record
    most = max(scale.kv_bytes for scale in record.scales)
    return pixels.picture(event.images[0], record.spec), record.seconds, most


BELOW = '<p class="vs-note">Below each picture: its time, and the most that its KV cache held.</p>'


def html(grid: Grid) -> str:
    """The grid as a table of pictures."""
    heads = "".join(f'<th scope="col">{escape(_text(v))}</th>' for v in grid.x.values)
    corner = escape(f"{grid.x.path} →" + (f" / {grid.y.path} ↓" if grid.y else ""))
    rows = ""
    for number, row in enumerate(grid.rows):
        name = _text(grid.y.values[number]) if grid.y else ""
        start = sum(len(other) for other in grid.rows[:number])
        drawn = "".join(_td(grid, start + i, spec) for i, spec in enumerate(row))
        rows += f'<tr><th scope="row">{escape(name)}</th>{drawn}</tr>'
    return (
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Grid of pictures">'
        f'<table class="vs-table vs-grid"><thead><tr><th scope="col">{corner}</th>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>{BELOW}"
    )


def _td(grid: Grid, number: int, spec: RunSpec) -> str:
    if number >= len(grid.done):
        state = "next" if number == len(grid.done) else "later"
        return f'<td data-state="{state}"><span class="vs-empty"></span></td>'
    uri, seconds, held = grid.done[number]
    alt = escape(f"Run {spec.id}", quote=True)
    text = spec.inputs.get("prompt")
    asked = f' data-asked="{escape(text, quote=True)}"' if text else ""
    picture = f'<img class="vs-picture vs-crisp" src="{uri}" alt="{alt}" decoding="sync">'
    return (
        f'<td data-state="done"{asked}>{stage.enlarged(picture)}'
        f"<small>{seconds_text(seconds)} · {bytes_text(held)}</small></td>"
    )


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _place(grid: Grid, number: int) -> str:
    """The values of a cell: ``guidance.scale 2.5, seed 1``."""
    row, column = divmod(number, len(grid.x.values))
    told = [(grid.x, column), *([(grid.y, row)] if grid.y else [])]
    return ", ".join(f"{axis.path} {_text(axis.values[at])}" for axis, at in told)


ABOUT = (
    '<p class="vs-about">Vary one or two parameters of a run, all else equal: every cell is drawn '
    "from the same seed, unless the seed is what varies.</p>"
)

# --- the page -------------------------------------------------------------------------------------


class GridForm(Fields):
    """The run that the grid varies, and the two parameters."""

    def __init__(self, card: Card) -> None:
        super().__init__(Controls(WHOLE, "grid"), card)
        choices = paths(WHOLE.plain(card))
        with gr.Group(elem_classes="vs-card"):
            self.add("model")
            self.add_inputs()
            self.add_seed()
            for key in ("count", "first"):  # one picture per cell
                with gr.Row(visible=False):
                    self.add(key)
        with gr.Group(elem_classes="vs-card"):
            self.x, self.x_values = self._axis("x", "To the right (X)", choices, "guidance.scale")
            self.x_values.value = "0, 1, 2.5, 5"
            self.y, self.y_values = self._axis("y", "Downwards (Y)", [NOTHING, *choices], "seed")
            self.y_values.value = "1, 2, 3"
        self.add_buttons("Draw the grid")
        self.add_methods([(title, kinds, False) for title, kinds in SECTIONS.items()])

    def _axis(self, name: str, title: str, choices: Sequence[str], value: str) -> tuple:
        with gr.Row(elem_classes="vs-inputs"):
            path = gr.Dropdown(
                list(choices), value=value, label=title, interactive=True, elem_id=self.id(name)
            )
            values = gr.Textbox(
                label="Values", max_lines=1, interactive=True, elem_id=self.id(f"{name}-values")
            )
        return path, values


def build_grid(card: Card) -> None:
    """Lay out and wire the grid inside the current Blocks."""
    gr.HTML(ABOUT, apply_default_css=False)
    with gr.Row(elem_classes="vs-tab"):
        with gr.Column(scale=5, min_width=300, elem_classes="vs-form"):
            form = GridForm(card)
        with gr.Column(scale=11, min_width=320, elem_classes="vs-screen"):
            ready = stage.line("empty", "<b>Ready.</b> Choose what varies; the rest is equal.", 0)
            status = gr.HTML(ready, elem_id="grid-status", js_on_load=LIVE)
            table = gr.HTML(visible=False, elem_id="grid-table", elem_classes="vs-card")
    drawing = runs(
        [form.go.click, form.component("seed").submit],
        _draw,
        [form.x, form.x_values, form.y, form.y_values],
        [status, table],
        named=form.named,
        status=status,
        stop=form.stop,
    )
    form.stop.click(stage.stopped, status, status, cancels=[drawing], **QUICK)
    for key in KEPT:
        fills(
            form.component(key).input,
            partial(_change, form, key),
            None,
            [*form.components, form.x, form.y],
            inputs_kwargs=form.small,
            go=form.go,
        )
    fills(
        form.component("methods").select,
        partial(_choices, form),
        None,
        [form.x, form.y],
        inputs_kwargs=form.small,
        go=form.go,
    )


def _draw(x: str, x_values: str, y: str, y_values: str, **given: Any) -> Iterator[tuple[Any, Any]]:
    down = None if y == NOTHING else (y, y_values)
    yield from drawn(lambda: plan_grid(WHOLE.shown(given), (x, x_values), down), ENDED)


def drawn(planned: Callable[[], Grid], ended: str) -> Iterator[tuple[Any, Any]]:
    """Status and table while the runs of a grid are drawn, however that ends; closing it stops the
    one that is drawn.

    Args:
        planned: gives the empty grid; what it refuses is shown as what a run refuses.
        ended: see :func:`shown`.

    Raises:
        gradio.Error: after the status said that it failed; one line for the visitor.
    """
    try:
        grid = planned()
        yield shown(grid, "running", ended)
        with closing(run(grid)) as grids:
            for grid in grids:
                yield shown(grid, "running", ended)
        yield shown(grid, "done", ended)
        return
    except VarSpacesError as error:
        message = str(error)
    except Exception:
        log.exception("A grid failed.")
        message = UNEXPECTED
    yield stage.line("failed", f"<b>Not drawn.</b> {escape(message)}", 0), gr.skip()
    raise refusal(message)


def plan_grid(
    given: Mapping[str, Any], x: tuple[str, str], y: tuple[str, str] | None = None
) -> Grid:
    """An empty grid from a filled form.

    Args:
        x, y: parameter, and its values as somebody typed them.

    Raises:
        VarSpacesError: if any cell is refused.
    """
    spec, pictures = WHOLE.request(given)
    spec = spec.replace(count=1, first=0)
    right, down = axis(spec, *x), axis(spec, *y) if y else None
    return Grid(right, down, tuple(map(tuple, cells(spec, right, down))), pictures=pictures)


def shown(grid: Grid, phase: str, ended: str) -> tuple[str, dict]:
    """The status of the work, and an update that shows the table so far.

    Args:
        phase: "running" or "done".
        ended: what is said of all cells when they are drawn; ``{n}`` is their number.
    """
    done = len(grid.done)
    words = f"<b>Done.</b> {ended.format(n=grid.size)}"
    if phase != "done" and done < grid.size:
        words = f"<b>Drawing {done + 1} of {grid.size}:</b> {escape(_place(grid, done))}."
    said = stage.line(phase, words, done / grid.size)
    return said, gr.update(value=html(grid), visible=True)


def _change(form: GridForm, key: str, **given: Any) -> dict:
    with refusing():
        new = handlers.changed(WHOLE, key, given)
        return {**form.filled(new, given), **_choices(form, **new)}


def _choices(form: GridForm, **given: Any) -> dict:
    """Parameters of the chosen methods."""
    with refusing():
        known = paths(_plain(given))
    return {form.x: gr.update(choices=known), form.y: gr.update(choices=[NOTHING, *known])}


def _plain(given: Mapping[str, Any]) -> RunSpec:
    """The run without anything that could be refused while it is typed."""
    card = get_card(given["model"] or "", "generator")
    chosen = {kind: method["name"] for kind, method in read_methods(given["methods"]).items()}
    plain = WHOLE.plain(card, given["task"])
    return plain.replace(**{kind: {"name": name} for kind, name in chosen.items()})
