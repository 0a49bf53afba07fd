"""The part of a tab that shows a run, and what each of its components shows of a view."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from var_spaces.ui import tabs
from var_spaces.ui.form.controls import element_id
from var_spaces.ui.queue.lined_up import line_view
from var_spaces.ui.run import candidates, cost, links, stage
from var_spaces.ui.run.command import command
from var_spaces.ui.run.downloads import enlargement
from var_spaces.ui.run.view import ACTIVE, RunView
from var_spaces.ui.words import pixels_text, plural
from var_spaces.zoo.cards import get_card

# A screen reader says what changes in here, without being asked and without interrupting.
LIVE = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite');"
SHOW = "varSpaces.parts(element, props, watch, trigger);"
NO_RUN = '<p class="vs-note">The run spec appears here with the first run.</p>'
DETAILS = """<details class="vs-details"><summary>Run details (run spec)</summary>
<div data-part="details"></div></details>"""


class Screen:
    """Components in the order of :attr:`outputs`."""

    def __init__(self, task: str, view: RunView, said: str | None = None) -> None:
        def name(part: str) -> str:
            return element_id(task, part)

        self.status = gr.HTML(said or stage.status(view), elem_id=name("status"), js_on_load=LIVE)
        line_view(task)
        self.stage = in_parts(stage.LAYOUT, stage.parts(view), name("stage"))
        with gr.Row(elem_classes="vs-actions"):
            self.plain = gr.DownloadButton(
                "Download PNG", interactive=False, elem_id=name("download"), size="md"
            )
            self.large = gr.DownloadButton(
                "Download enlarged", interactive=False, elem_id=name("download-large"), size="md"
            )
            self.link = gr.Button("Copy link", interactive=False, elem_id=name("link"), size="md")
        more = {**cost.parts(view), "details": NO_RUN}
        self.more = in_parts(cost.LAYOUT + DETAILS, more, name("more"))
        self.phase = gr.State(view.phase)
        self.share = gr.JSON(visible=False)  # for the browser: what js/share.js reads

    @property
    def outputs(self) -> list[gr.components.Component]:
        take_home = [self.plain, self.large, self.link, self.share]
        return [self.status, self.stage, self.more, *take_home, self.phase]

    @staticmethod
    def show(view: RunView, paths: tuple[Path, Path] | None, name: str = "") -> tuple:
        """What the outputs show of a view.

        Args:
            paths: of the files to download, plain and enlarged, when the run is done.
            name: of the screen, if it is not that of the task's tab.
        """
        said = stage.status(view)
        if view.phase == "failed" and view.spec is None:  # refused: the last run stays
            return (said, *(gr.skip(),) * 6, view.phase)
        more = {**cost.parts(view), "details": _details(view, name)}
        return (said, stage.parts(view), more, *_downloads(view, paths), view.phase)

    @staticmethod
    def stopped(phase: str, said: str | None) -> tuple:
        """What the outputs show after Stop, in a phase whose status ``said`` how far it was: all
        that was drawn so far stays."""
        if phase not in ACTIVE:  # it was still waiting, or had just ended
            return (gr.skip(),) * 8
        return (stage.stopped(said), *(gr.skip(),) * 6, "stopped")

    @staticmethod
    def empty(view: RunView) -> tuple[str, Any, Any]:
        """Status, stage and cost before a run."""
        return stage.status(view), stage.parts(view), {**cost.parts(view), "details": NO_RUN}


def in_parts(layout: str, value: dict[str, Any], name: str) -> gr.HTML:
    """A view whose parts ``js/parts.js`` puts in their places."""
    template = layout.replace("\n", "")
    return gr.HTML(
        value,
        html_template=template,
        js_on_load=SHOW,
        apply_default_css=False,
        elem_id=name,
        elem_classes="vs-card",
    )


def _downloads(view: RunView, paths: tuple[Path, Path] | None) -> tuple[Any, ...]:
    """They change when a run begins and when its files are there."""
    if paths is None:
        if view.phase != "loading":
            return (gr.skip(),) * 4
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


def _details(view: RunView, name: str = "") -> str:
    """Identity, command and spec, to read and to copy."""
    if view.spec is None:
        return NO_RUN
    text = json.dumps(json.loads(view.spec.to_json()), indent=2)
    line = command(view.spec, get_card(view.spec.model))
    tab = name or tabs.of(view.spec.task)
    codes = _code("The same run on the command line", line, element_id(tab, "command"))
    codes += _code("Run spec", text, element_id(tab, "spec"))
    return _identity(view) + codes


def _code(title: str, text: str, name: str) -> str:
    if not text:
        return ""
    return (
        f'<section class="vs-code" id="{name}"><h4>{title}</h4>'
        f'<button type="button" data-copy="Copied">Copy</button>'
        f'<pre tabindex="0" aria-label="{title}"><code>{escape(text)}</code></pre></section>'
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
