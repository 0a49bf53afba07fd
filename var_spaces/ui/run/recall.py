"""Brings runs back into their tabs: from the link of the page, and from the list of own runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import gradio as gr

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.queue.wiring import fills, refusing
from var_spaces.ui.run import handlers, links
from var_spaces.ui.tabs import COMPARE

LINKED = f"new URLSearchParams(location.search).has('{links.PARAMETER}')"


class Place(Protocol):
    """A tab that a link can fill: which components, and with what, from accepted specs."""

    restored: list[gr.components.Component]

    def restore(self, *specs: RunSpec) -> list[Any]: ...


def add_recall(page: gr.Blocks, tabs: Mapping[str, Place], shown: gr.Tabs | None = None) -> None:
    """Add the list of own runs, and let the page open links.

    Args:
        tabs: by name.
        shown: what holds the tabs, to show the one of the run.
    """
    with gr.Accordion("My runs in this browser", open=False, elem_id="runs"):
        runs = gr.HTML(links.RUNS, js_on_load=links.SHOW, elem_id="runs-list")
    outputs = [component for tab in tabs.values() for component in tab.restored]
    outputs += [shown] if shown else []

    def show(parameter: object) -> list[Any]:
        with refusing():
            return recall(tabs, parameter)[: len(outputs)]

    # gradio hands over what is annotated with its own types
    def load(request: gr.Request) -> list[Any]:
        parameter = request.query_params.get(links.PARAMETER)
        return show(parameter) if parameter else [gr.skip()] * len(outputs)

    def select(event: gr.EventData) -> list[Any]:
        return show(event.link)

    fills(page.load, load, None, outputs, when=LINKED)
    fills(runs.select, select, None, outputs, trigger_mode="once")  # it carries which run


def recall(tabs: Mapping[str, Place], parameter: object) -> list[Any]:
    """What changes when a link is opened: its own tab is filled, and shown.

    Raises:
        VarSpacesError: if the link is damaged, or its run cannot run here.
    """
    specs = links.read(str(parameter))
    own = COMPARE if len(specs) > 1 else methods.get("task", specs[0].task).tab
    if own not in tabs:
        raise VarSpacesError(f"The run is of the task '{specs[0].task}', which has no tab here.")
    specs = [handlers.accept(own, spec) for spec in specs]
    changes: list[Any] = []
    for name, tab in tabs.items():
        changes += tab.restore(*specs) if name == own else [gr.skip()] * len(tab.restored)
    return [*changes, gr.Tabs(selected=own)]
