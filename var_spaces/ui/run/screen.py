"""The part of a tab that shows a run, and what each of its components shows of a view."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from var_spaces.ui.form.controls import element_id
from var_spaces.ui.run import candidates, cost, links, stage
from var_spaces.ui.run.command import command
from var_spaces.ui.run.downloads import enlargement
from var_spaces.ui.run.slider import MOVE
from var_spaces.ui.run.view import ACTIVE, RunView
from var_spaces.ui.words import pixels_text, plural
from var_spaces.zoo.cards import get_card

# A screen reader says what changes in here, without being asked and without interrupting.
LIVE = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite');"
NO_RUN = '<p class="vs-note">The run spec appears here with the first run.</p>'


class Screen:
    """Components in the order of :attr:`outputs`."""

    def __init__(self, task: str, view: RunView) -> None:
        def name(part: str) -> str:
            return element_id(task, part)

        status, pictures, costs = self.pictures(view)
        self.status = gr.HTML(status, elem_id=name("status"), js_on_load=LIVE)
        self.stage = gr.HTML(
            pictures, elem_id=name("stage"), elem_classes="vs-card", js_on_load=MOVE
        )
        with gr.Row(elem_classes="vs-actions"):
            self.plain = gr.DownloadButton(
                "Download PNG", interactive=False, elem_id=name("download"), size="md"
            )
            self.large = gr.DownloadButton(
                "Download enlarged", interactive=False, elem_id=name("download-large"), size="md"
            )
            self.link = gr.Button("Copy link", interactive=False, elem_id=name("link"), size="md")
        self.cost = gr.HTML(
            costs, visible=bool(costs), elem_id=name("cost"), elem_classes="vs-card"
        )
        code = {"interactive": False, "visible": False, "show_line_numbers": False}
        code |= {"lines": 1, "wrap_lines": True}
        with gr.Accordion("Run details (run spec)", open=False, elem_id=name("details")):
            self.identity = gr.HTML(NO_RUN)
            self.command = gr.Code(
                label="The same run on the command line",
                language="shell",
                elem_id=name("command"),
                **code,
            )
            self.spec = gr.Code(label="Run spec", language="json", elem_id=name("spec"), **code)
        self.phase = gr.State(view.phase)
        self.share = gr.JSON(visible=False)  # for the browser: what js/share.js reads

    @property
    def outputs(self) -> list[gr.components.Component]:
        pictures = [self.status, self.stage, self.cost]
        details = [self.identity, self.command, self.spec]
        take_home = [self.plain, self.large, self.link, self.share]
        return [*pictures, *take_home, *details, self.phase]

    @staticmethod
    def show(view: RunView, paths: tuple[Path, Path] | None) -> tuple:
        """What the outputs show of a view.

        Args:
            paths: of the files to download, plain and enlarged, when the run is done.
        """
        pictures = Screen.pictures(view)
        if view.phase == "failed" and view.spec is None:  # refused: the last run stays
            return (pictures[0], *(gr.skip(),) * 9, view.phase)
        return (*pictures, *_downloads(view, paths), *_details(view), view.phase)

    @staticmethod
    def stopped(phase: str) -> tuple:
        """What the outputs show after Stop: all that was drawn so far stays."""
        if phase not in ACTIVE:  # it was still waiting, or had just ended
            return (gr.skip(),) * 11
        return (stage.stopped(), *(gr.skip(),) * 9, "stopped")

    @staticmethod
    def pictures(view: RunView) -> tuple[str, str, str]:
        """Status, stage and cost."""
        return stage.status(view), stage.stage(view), cost.cost(view)


def _downloads(view: RunView, paths: tuple[Path, Path] | None) -> tuple[Any, ...]:
    if paths is None:
        return (*(gr.update(interactive=False),) * 3, None)
    times = enlargement(view.images[0])
    plain, large = pixels_text(view.size), pixels_text(view.size, times)
    what = "PNG" if len(view.images) == 1 else f"{plural(len(view.images), 'PNG')} (zip)"
    return (
        gr.update(
            label=f"Download {what}, {plain}",
            value=str(paths[0]),
            interactive=True,
        ),
        gr.update(
            label=f"Enlarged, {large}",
            value=str(paths[1]),
            interactive=times > 1,
        ),
        gr.update(interactive=True),
        links.share(view),
    )


def _details(view: RunView) -> tuple:
    """Identity, command and spec; they change when a run starts and when it ends."""
    if view.spec is None or not (view.record or not view.scales):
        return (gr.skip(),) * 3
    text = json.dumps(json.loads(view.spec.to_json()), indent=2)
    line = command(view.spec, get_card(view.spec.model))
    return (
        _identity(view),
        gr.update(value=line, visible=bool(line)),
        gr.update(value=text, visible=True),
    )


def _identity(view: RunView) -> str:
    rows = {"Run": view.spec.id}
    if view.record:
        where = view.record.environment
        rows["Weights"] = view.record.weights_sha256[:16]
        rows["Drawn on"] = f"{where.device}, {plural(where.threads, 'thread')}, torch {where.torch}"
    items = "".join(
        f'<div><dt>{key}</dt><dd class="vs-mono">{escape(value)}</dd></div>'
        for key, value in rows.items()
    )
    items += f"<div><dt>Link</dt><dd>{links.anchor(view.spec)}</dd></div>"
    return (
        f'<dl class="vs-identity">{items}</dl><p class="vs-note">Equal run specs have equal ids '
        "and give equal pictures. Every PNG you save here carries its run spec.</p>"
        f"{candidates.table(view)}"
    )
