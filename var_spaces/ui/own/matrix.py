"""A table of contents and styles: what was learned of one picture beside what has a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial

import gradio as gr

from var_spaces.compare.grid import MAX_CELLS, Axis
from var_spaces.errors import VarSpacesError
from var_spaces.ui.compare import grid
from var_spaces.ui.compare.grid import Grid
from var_spaces.ui.own import shelf
from var_spaces.ui.own.present import follow, holder, present
from var_spaces.ui.own.prompts import plain, request
from var_spaces.ui.own.shelf_view import ShelfView, named
from var_spaces.ui.own.visitors import own_folder, own_models
from var_spaces.ui.queue.wiring import QUICK, runs
from var_spaces.ui.run import stage
from var_spaces.ui.run.screen import LIVE
from var_spaces.zoo.cards import get_card

CONTENT, STYLE = "<content>", "<style>"
THINGS, STYLES = "car, castle, dog, apple", "flat, soft, glossy, round"
SAME = "the same picture"
ENDED = "{n} pictures; click one to see it large."
# A click on a picture of the table hands its prompt on.
PICK = """element.addEventListener("click", event => {
  const image = event.target.closest("td[data-state=done] img");
  if (!image) return;
  event.stopPropagation();
  trigger("select", { prompt: image.closest("td").dataset.asked });
}, true);"""


def build_matrix(taken: ShelfView, seed: gr.Textbox) -> gr.HTML:
    """Lay out and wire it; returns the table, whose pictures can be clicked."""
    with gr.Accordion("All of it in a table: contents and styles", open=True):
        with gr.Row(elem_classes="vs-inputs"):
            things = gr.Textbox(
                THINGS, label="Contents with a name", max_lines=1, elem_id="style-things"
            )
            styles = gr.Textbox(
                STYLES, label="Styles with a name", max_lines=1, elem_id="style-styles"
            )
        with gr.Row(elem_classes="vs-inputs"):
            other = gr.Dropdown(
                _others(),
                value="",
                label="Style learned from",
                interactive=True,
                elem_id="style-other",
            )
        with gr.Row(elem_classes="vs-buttons"):
            go = gr.Button("Draw the table", scale=2, elem_id="style-table-go")
            stop = gr.Button(
                "Stop", variant="stop", interactive=False, scale=1, elem_id="style-table-stop"
            )
        status = gr.HTML(visible=False, elem_id="style-table-status", js_on_load=LIVE)
        table = gr.HTML(visible=False, elem_id="style-table", js_on_load=PICK)
    own = holder()
    drawing = runs(
        [go.click],
        partial(_draw, own is not None),
        [taken.chosen, other, things, styles, seed],
        [status, table, *([own] if own else [])],
        status=status,
        stop=stop,
    )
    stop.click(stage.stopped, status, status, cancels=[drawing], **QUICK)
    follow(lambda: gr.update(choices=_others(), value=""), other)
    return table


def _others() -> list[tuple[str, str]]:
    return [(SAME, ""), *((named(c), name) for name, c in own_models("content-style").items())]


def plan_table(model: str, things: str, styles: str, seed: int) -> Grid:
    """The runs of a table: contents downwards, styles to the right, the learned ones first.

    Raises:
        VarSpacesError: if there are too many, or one is refused.
    """
    card = get_card(model, "generator")
    down, right = [CONTENT, *_listed(things)], [STYLE, *_listed(styles)]
    if len(down) * len(right) > MAX_CELLS:
        raise VarSpacesError(
            f"A table of {len(right)} x {len(down)} is too large: at most {MAX_CELLS} pictures."
        )
    rows = tuple(tuple(plain(card, prompt(c, s), seed) for s in right) for c in down)
    return Grid(Axis("style", tuple(right)), Axis("content", tuple(down)), rows)


def prompt(content: str, style: str) -> str:
    """A content in a style, each by its name or as it was learned."""
    thing = content if content == CONTENT else f"{'an' if content[0] in 'aeiou' else 'a'} {content}"
    return f"{thing} in {style}" if style == STYLE else f"{thing} in {style} style"


def _listed(text: str) -> list[str]:
    return [part for part in (p.strip()[:40] for p in (text or "").split(",")) if part]


def _draw(
    tell: bool, model: str | None, other: str | None, things: str, styles: str, seed: str
) -> Iterator[tuple]:
    """Draw the table.

    Args:
        tell: whether the last output is told which models the visitor has: a pair may be new.
    """

    def planned() -> Grid:
        number = request(model, CONTENT, seed).seed
        named = _pair(model, other) if other and other != model else model
        return plan_table(named, things, styles, number)

    with closing(grid.drawn(planned, ENDED)) as drawn:
        for said, table in drawn:
            yield (gr.update(value=said, visible=True), table, *[gr.skip()] * tell)
    yield (gr.skip(), gr.skip(), *[present()] * tell)


def _pair(content: str, style: str) -> str:
    """A model with the content of one picture and the style of another, kept as one's own."""
    from var_spaces.training.styles.recombine import recombine

    folder, known = own_folder(), own_models("content-style")
    for name in (content, style):
        if name not in known:
            raise VarSpacesError("That model is not here any more.")
    made = {"content": content, "style": style}
    for name, card in known.items():
        if dict(card.training) == made:
            return name
    shelf.check_room(folder)
    one, two = known[content], known[style]
    title = f"{one.adapter.get('content')} in {two.adapter.get('style')}"
    return shelf.keep(folder, title, lambda out: recombine(one, two, out))
