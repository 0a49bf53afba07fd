"""The leaderboard tab: filters, plot, table, details of a row, and submissions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import gradio as gr

from leaderboard.table.board import Board, to_csv
from leaderboard.table.view import View
from var_spaces.errors import VarSpacesError
from var_spaces.ui.board import data, html, papers_html, plot
from var_spaces.ui.board.submit import SubmitForm, asked
from var_spaces.ui.lazy import Lazy
from var_spaces.ui.queue.wiring import CAREFUL, HIDDEN, QUICK, refusing
from var_spaces.ui.run import handlers, links
from var_spaces.ui.server.address import address
from var_spaces.ui.server.hourly import shared

TAB = "leaderboard"
ABOUT = (
    '<p class="vs-about">Each row is a model with a cache policy and a decoding strategy. A suite '
    "says what was drawn and what was measured; rows of different suites are never ranked "
    "together. "
    "<span>Click a row for its settings, a head to rank by it.</span> "
    "<span>To add a row, see <b>Submit an entry</b> below.</span></p>"
)
ALL = "None chosen: all"
REFRESH = 2.0  # seconds between looks at submissions that are not done
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest(".vs-pick, .vs-sort");
  if (!button) return;
  if (button.dataset.sort) trigger("input", { sort: button.dataset.sort });
  else trigger("select", { id: button.dataset.id });
});"""
ASKED = "wanted || varSpaces.asked('{name}')"  # it is laid out once, as the address says then
ADDRESS = "(query) => varSpaces.address(query)"  # it follows the filters, so it can be shared
SAVE = "(file) => varSpaces.save(file)"
SHOW_DETAILS = """() => document.getElementById("board-details")
  .scrollIntoView({block: "nearest"})"""


def add_board() -> None:
    """Add the tab to the current Blocks; it is laid out when it is opened, as its address says."""
    Lazy(TAB, "Leaderboard", build_board, View.from_query, ASKED)


def build_board(view: View | None = None) -> None:
    """Lay out and wire the tab inside the current Blocks.

    Args:
        view: that an address asks for.
    """
    first, view, told = data.board(view or View())
    gr.HTML(ABOUT, apply_default_css=False)
    filters = Filters(first, view)
    picture = gr.HTML(
        plot.pareto(first), elem_id="board-plot", elem_classes="vs-card", js_on_load=PICK
    )
    rows = gr.HTML(html.table(first, view.columns, told), elem_id="board-table", js_on_load=PICK)
    with gr.Row(elem_classes="vs-actions"):
        csv = gr.Button("Download CSV", size="md", elem_id="board-csv")
    text = gr.JSON(visible=False)  # for the browser, which makes the file
    details = gr.HTML(visible=False, elem_id="board-details", elem_classes="vs-card")
    address = gr.Textbox(visible="hidden", label="Address")
    shown = [*filters.outputs, picture, rows]

    def look(**given: Any) -> list[Any]:
        with refusing():
            found, view, told = data.board(Filters.view(given))
        shown = _shown(found, view, told)
        shown[filters.outputs.index(filters.search)] = gr.skip()  # the visitor may still type
        return [*shown, _query(view)]

    for control in filters.outputs:
        looked = control.input(
            look,
            None,
            [*shown, address],
            inputs_kwargs=filters.named,
            trigger_mode="always_last",
            **CAREFUL,
        )
        looked.success(None, address, None, js=ADDRESS, **QUICK)

    # gradio hands over what is annotated with its own types
    def rank(event: gr.EventData, **given: Any) -> list[Any]:
        return look(**{**given, "sort": str(event.sort)})

    ranked = rows.input(rank, None, [*shown, address], inputs_kwargs=filters.named, **CAREFUL)
    ranked.success(None, address, None, js=ADDRESS, **QUICK)
    for chosen in (rows.select, picture.select):
        opened = chosen(_details, None, details, **CAREFUL)
        opened.then(None, None, None, js=SHOW_DETAILS, **QUICK)
    saved = csv.click(_csv, None, text, inputs_kwargs=filters.named, **CAREFUL)
    saved.success(None, text, None, js=SAVE, **QUICK)
    _papers()
    _submissions(look, filters, [*shown, address], first.protocol)


def _shown(board: Board, view: View, told: str) -> list[Any]:
    table = html.table(board, view.columns, told)
    return [*Filters.updates(board, view), plot.pareto(board), table]


def _query(view: View) -> str:
    return f"tab={TAB}&{view.to_query()}".rstrip("&")


def _details(event: gr.EventData) -> Any:
    with refusing():
        result, verdict = data.row(str(event.id))
        try:
            link = links.anchor(data.first_run(result))
        except VarSpacesError as error:
            link = f"nothing here: {error}"
        return gr.update(value=html.details(result, verdict, link), visible=True)


def _csv(**given: Any) -> dict[str, str]:
    """The rows in view as a file that the browser makes: none of them stays here."""
    with refusing():
        found, _, _ = data.board(Filters.view(given))
        return {"name": "leaderboard.csv", "text": to_csv(found)}


# controls of a view by its fields, in the order of their updates
CONTROLS = (
    "protocol", "search", "sort", "models", "caches", "decodings", "x", "y", "verified", "columns",
)  # fmt: skip


class Filters:
    """Controls of a view."""

    def __init__(self, board: Board, view: View) -> None:
        start = self.updates(board, view)
        with gr.Group(elem_classes="vs-card"):
            with gr.Row():
                self.protocol = _dropdown("Suite and version (protocol)", "protocol", start[0])
                self.search = gr.Textbox(
                    view.search,
                    interactive=True,
                    label="Search",
                    placeholder="words of a row",
                    elem_id="board-search",
                )
                self.sort = _dropdown("Rank by", "sort", start[2])
            with gr.Row():
                self.models = _dropdown("Models", "models", start[3], multiselect=True)
                self.caches = _dropdown("Cache policies", "caches", start[4], multiselect=True)
                self.decodings = _dropdown(
                    "Decoding strategies", "decodings", start[5], multiselect=True
                )
            with gr.Row():
                self.x = _dropdown("Plot across (x)", "x", start[6])
                self.y = _dropdown("Plot up (y)", "y", start[7])
                self.columns = _dropdown("Columns", "columns", start[9], multiselect=True)
            with gr.Row():
                self.verified = gr.Checkbox(
                    view.verified,
                    interactive=True,
                    label="Only rows that were drawn again and verified",
                    elem_id="board-verified",
                )

    @property
    def named(self) -> dict[str, gr.components.Component]:
        """The controls by the field of a view that they set; events hand their values over so."""
        return {name: getattr(self, name) for name in CONTROLS}

    @property
    def outputs(self) -> list[gr.components.Component]:
        return list(self.named.values())

    @staticmethod
    def view(given: Mapping[str, Any]) -> View:
        """The view of filled controls; what is empty is as in a fresh one.

        Raises:
            VarSpacesError: for a value that is refused.
        """
        filled = {name: value for name, value in given.items() if value}
        return View(**{n: tuple(v) if isinstance(v, list) else v for n, v in filled.items()})

    @staticmethod
    def updates(board: Board, view: View) -> list[dict[str, Any]]:
        """What the controls show of a board and the view of it, which chooses what there is."""
        columns = [(column.title, column.key) for column in board.columns]
        names = board.choices

        def column(found: Any) -> dict[str, Any]:
            return gr.update(choices=columns, value=found.key if found else None)

        def several(kind: str, chosen: tuple[str, ...]) -> dict[str, Any]:
            return gr.update(choices=list(names.get(kind, ())), value=list(chosen))

        protocols = list(data.source().suites)
        return [
            gr.update(choices=protocols, value=board.protocol or None),
            gr.update(value=view.search),
            column(board.sort),
            several("model", view.models),
            several("cache", view.caches),
            several("decoding", view.decodings),
            column(board.x),
            column(board.y),
            gr.update(value=view.verified),
            gr.update(choices=columns, value=list(view.columns)),
        ]


def _dropdown(label: str, name: str, start: dict[str, Any], **more: Any) -> gr.Dropdown:
    return gr.Dropdown(
        start["choices"],
        value=start["value"],
        label=label,
        interactive=True,  # gradio cannot tell inside a tab that is built later
        elem_id=f"board-{name}",
        info=ALL if more.get("multiselect") else None,
        **more,
    )


def _papers() -> None:
    """Every row of the papers beside ours; it is worked out when somebody opens it."""
    with gr.Accordion("Papers and ours", open=False, elem_id="board-papers") as holder:
        table = gr.HTML(elem_id="board-papers-table")
    holder.expand(lambda: papers_html.table(data.papers()), None, table, **CAREFUL)


def _submissions(
    look: Any, filters: Filters, outputs: list[gr.components.Component], protocol: str
) -> None:
    """The form, the list of submissions, and a timer that runs while one is not done."""
    with gr.Accordion("Submit an entry", open=False, elem_id="board-submit"):
        model = handlers.first_model("generate")
        if model is None:
            gr.HTML('<p class="vs-note">No model was found, so there is nothing to submit.</p>')
            return
        form = SubmitForm(model, protocol)
    filters.protocol.input(form.suite_in_view, filters.protocol, form.suite, **CAREFUL)
    with gr.Accordion("Submissions", open=False, elem_id="board-submissions") as holder:
        text, waiting = _listed()
        listed = gr.HTML(text, elem_id="board-requests")
    timer = gr.Timer(REFRESH, active=waiting)

    hourly = shared("max_submissions_per_hour", "submission")

    # gradio hands over what is annotated with its own types
    def submit(visitor: gr.Request, **given: Any) -> list[Any]:
        with refusing():
            entry = asked(**given)
            hourly.take(address(visitor))
            request = data.submit(*entry)
        said = f"Request {request.id} waits. Its state is in the list below."
        return [said, _listed()[0], gr.Timer(active=True), gr.Accordion(open=True)]

    def tick() -> list[Any]:
        text, waiting = _listed()
        return [text, gr.Timer(active=waiting)]

    form.go.click(
        submit, None, [form.said, listed, timer, holder], inputs_kwargs=form.inputs, **CAREFUL
    )
    ticked = timer.tick(tick, None, [listed, timer], **HIDDEN)
    ticked.then(look, None, outputs, inputs_kwargs=filters.named, **CAREFUL)


def _listed() -> tuple[str, bool]:
    """The list of submissions, and whether one is not done; what was left behind goes on."""
    waiting = data.resume()
    return html.submissions(data.newest(), time.time()), waiting
