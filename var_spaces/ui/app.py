"""The page: builds the Blocks from the tasks that have a tab, and serves it.

Nothing starts at import. ``python app.py`` calls :func:`main`; tests build and launch themselves.
"""

from __future__ import annotations

import atexit
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from signal import SIGTERM, signal
from threading import Thread
from typing import Any

# No word to anybody about who starts this page; set before gradio reads it.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from var_spaces import cpu
from var_spaces.errors import VarSpacesError
from var_spaces.remote.engine import engine
from var_spaces.spec import RunSpec
from var_spaces.ui import tabs
from var_spaces.ui.api.endpoints import add_endpoints
from var_spaces.ui.board.data import take_up
from var_spaces.ui.board.tab import add_board
from var_spaces.ui.compare.tab import build_compare, filled
from var_spaces.ui.lazy import LazyRuns
from var_spaces.ui.own.lessons import STYLE, SUBJECT, bases
from var_spaces.ui.own.present import add_present
from var_spaces.ui.own.subject import build_subject
from var_spaces.ui.own.tab import build_lesson
from var_spaces.ui.own.visitors import bind
from var_spaces.ui.queue.limits import MIB, Limits, train_seconds
from var_spaces.ui.queue.line import OTHERS, Guard, at_once
from var_spaces.ui.queue.sessions import CAPACITY
from var_spaces.ui.run import handlers
from var_spaces.ui.run.missing import also_missing, is_missing, missing
from var_spaces.ui.run.recall import Place, add_recall
from var_spaces.ui.run.stage import mark
from var_spaces.ui.run.tab import Tab, build_tab
from var_spaces.ui.script import head
from var_spaces.ui.server.address import proxies
from var_spaces.ui.server.options import app_options
from var_spaces.ui.server.port import no_forwarding, port
from var_spaces.ui.server.sites import friends
from var_spaces.ui.server.uploads import own_folder
from var_spaces.ui.tabs import COMPARE
from var_spaces.ui.theme import ICON, css, theme

HEADER = f"""<header class="vs-header">{mark()}<div><h1>VAR Spaces</h1>
<p>Next-scale prediction: a model draws the whole picture again and again, each time with more
detail, from a single token to the finished image.</p></div>
<span class="vs-tools"><span class="vs-language"></span>
<button type="button" class="vs-again" data-term="">Help: every word explained</button></span>
</header>"""

API_PAGE = "api"
API_HEADER = f"""<header class="vs-header">{mark()}<div><h1>VAR Spaces: the API</h1>
<p>Everything that the page draws can be asked for by programs: these are the endpoints, their
parameters and what they answer. <a href="./">Back to the page</a></p></div></header>
<div class="vs-endpoints"></div>"""


def build_app() -> gr.Blocks:
    """The page, ready to launch with :func:`launch_options`."""
    with gr.Blocks(title="VAR Spaces", analytics_enabled=False) as page:
        gr.HTML(HEADER)
        first, *others = visible_tabs()
        later = tabs.ordered([*others, *taught_tabs()])
        add_present(page, [*later, COMPARE])
        with gr.Tabs(elem_id="tabs", elem_classes="vs-tabs", overflow_behavior="wrap") as holder:
            places: dict[str, Place] = {first: _first_tab(first)}
            for name in later:
                places[name] = LazyRuns(name, tabs.words(name).title, partial(_task_tab, name))
            places[COMPARE] = LazyRuns(COMPARE, "Compare", build_compare, filled)
            add_board()
        add_recall(page, places, holder)
    with page.route("API", API_PAGE, show_in_navbar=False):  # no weight of the first view
        gr.HTML(API_HEADER, js_on_load="varSpaces.endpoints(element)")
        add_endpoints([first, *others])
    limits = Limits.from_environment()
    page.queue(max_size=limits.max_waiting + OTHERS, api_open=False)
    Guard(page, limits)
    bind(page)
    return page


def _first_tab(name: str) -> Tab:
    with gr.Tab(tabs.words(name).title, id=name, elem_id=f"tab-{name}"):
        return build_tab(name)


def _task_tab(name: str, specs: Sequence[RunSpec]) -> None:
    if name == SUBJECT.tab:
        build_subject(specs)
    elif name == STYLE.tab:
        build_lesson(name)
    elif handlers.first_model(name):
        if is_missing(name):
            gr.HTML(also_missing(name), elem_id=f"{name}-missing")
        build_tab(name, specs[0] if specs else None)
    else:
        gr.HTML(missing(name), elem_classes="vs-card", elem_id=f"{name}-missing")


def visible_tabs() -> list[str]:
    """Tabs that can do something here; the first one also tells who finds no model at all."""
    first, *others = tabs.names()
    return [first, *(name for name in others if handlers.first_model(name))]


def taught_tabs() -> list[str]:
    """Tabs of what a text model here can be taught, whether it has been or not."""
    return [SUBJECT.tab, STYLE.tab, "control"] if bases() else []


def launch_options() -> dict[str, Any]:
    """How the page is served, wherever it is."""
    limits = Limits.from_environment()
    friends(), proxies(), engine(), train_seconds()  # refused now, not with the first visitor
    return {
        "theme": theme(),
        "css": css(),
        "head": head(),
        "favicon_path": ICON,
        "max_file_size": limits.max_upload_mb * MIB,
        "app_kwargs": app_options(limits),
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": ["api", "settings"],
        "ssr_mode": False,
        "max_threads": at_once(),
        "state_session_capacity": CAPACITY,
        "_frontend": False,  # else a busy computer that answers late does not start at all
    }


def warm_up() -> None:
    """Load the first model, so that the first visitor does not wait for it."""
    from var_spaces import api

    try:
        model = handlers.first_model(tabs.names()[0])
        if model:
            api.load(model)
    except VarSpacesError as error:
        handlers.log.warning("%s", error)


def _end(*_: Any) -> None:
    """As a service manager asks: what must be tidied up is, and runs end with the process.

    A thread that computes cannot be stopped, and the interpreter would abort in it when it ends, so
    the process leaves before that, after everything else is done.
    """
    ended.append(True)
    raise SystemExit(0)


ended: list[bool] = []


@atexit.register  # before all others, so it is called after them
def _leave() -> None:
    if ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until the process ends."""
    parser = ArgumentParser(prog="app.py", description="Serve the page of VAR Spaces.")
    parser.add_argument("--mcp", action="store_true", help="offer the API to agents, too (MCP)")
    agents = parser.parse_args(arguments).mcp
    if agents and not find_spec("mcp"):
        parser.error('--mcp needs an optional package: pip install "gradio[mcp]"')
    cpu.share_cores()  # before anything loads torch
    try:
        chosen, options = port(), launch_options()
        own_folder()
        no_forwarding()
        page = build_app()
    except VarSpacesError as error:
        parser.error(str(error))
    signal(SIGTERM, _end)
    here = "SPACES_ZERO_GPU" not in os.environ  # there, only a run may touch the GPU
    if here and engine() is None:
        Thread(target=warm_up, daemon=True).start()
    # For agents None means what the environment says.
    page.launch(**options, server_port=chosen, mcp_server=agents or None, prevent_thread_lock=True)
    Thread(target=take_up, daemon=True).start()  # the page answers, so this delays no start
    page.block_thread()
