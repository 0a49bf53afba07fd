"""The page: builds the Blocks from the tasks that have a tab, and serves it.

Nothing starts at import. ``python app.py`` calls :func:`main`; tests build and launch themselves.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import Any

# No word to anybody about who starts this page; set before gradio reads it.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from var_spaces.errors import VarSpacesError
from var_spaces.ui import handlers, links
from var_spaces.ui.endpoints import add_endpoints
from var_spaces.ui.limits import MIB, Limits
from var_spaces.ui.line import Guard
from var_spaces.ui.recall import add_recall
from var_spaces.ui.server import app_options
from var_spaces.ui.stage import mark
from var_spaces.ui.tab import build_tab
from var_spaces.ui.theme import ICON, css, theme

# Tasks with a tab, in the order of the tabs.
TASKS = ("generate",)
CACHE_SECONDS = (3600, 86400)  # how often to look for old files, and how old they become

HEADER = f"""<header class="vs-header">{mark()}<div><h1>VAR Spaces</h1>
<p>Pictures drawn from coarse to fine, scale by scale (visual autoregressive models)</p></div>
</header>"""


def build_app() -> gr.Blocks:
    """The page, ready to launch with :func:`launch_options`."""
    with gr.Blocks(title="VAR Spaces", analytics_enabled=False, delete_cache=CACHE_SECONDS) as page:
        gr.HTML(HEADER)
        tabs = {task: build_tab(task) for task in TASKS}
        add_recall(page, tabs)
        add_endpoints(TASKS)
    limits = Limits.from_environment()
    page.queue(max_size=limits.max_waiting, api_open=False)
    Guard(page, limits)
    return page


def launch_options() -> dict[str, Any]:
    """How the page is served, wherever it is."""
    limits = Limits.from_environment()
    return {
        "theme": theme(),
        "css": css(),
        "head": links.head(),
        "favicon_path": ICON,
        "max_file_size": limits.max_upload_mb * MIB,
        "app_kwargs": app_options(limits),
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": ["api", "settings"],
        "ssr_mode": False,
    }


def warm_up() -> None:
    """Load the first model, so that the first visitor does not wait for it."""
    from var_spaces import api

    try:
        model = handlers.first_model(TASKS[0])
        if model:
            api.load(model)
    except VarSpacesError as error:
        handlers.log.warning("%s", error)


def main() -> None:
    """Serve the page until the process ends."""
    page = build_app()
    if "SPACES_ZERO_GPU" not in os.environ:  # there, only a run may touch the GPU
        Thread(target=warm_up, daemon=True).start()
    page.launch(**launch_options())
