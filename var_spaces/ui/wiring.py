"""How events of all tabs are wired: quiet small things, runs in the line, our refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr
from gradio.events import Dependency

from var_spaces.errors import VarSpacesError
from var_spaces.ui.line import LANE

HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}
QUICK = {**HIDDEN, "queue": False}  # for what cannot fail: the queue is what reports errors
CAREFUL = {**HIDDEN, "concurrency_limit": None}
PRIVATE_LANE = {**HIDDEN, **LANE}

# On a phone the screen is below the form: show it when a run starts. Hands its arguments on.
_LOOK = """(...values) => {{
  if (window.innerWidth <= 640) document.getElementById("{target}").scrollIntoView(
    {{behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"}});
  return values;
}}"""


def stoppable(starts: Iterable[Callable], runs: Iterable[Dependency], stop: gr.Button) -> None:
    """Stop can be pressed from the start of a run, waiting included, until it ends."""
    for start in starts:
        start(lambda: gr.update(interactive=True), None, stop, **QUICK)
    for run in runs:  # asked for after the run, so that it is answered after the line above
        run.then(lambda: gr.update(interactive=False), None, stop, **QUICK)


def look(target: str) -> str:
    """JavaScript that brings an element into view on a phone."""
    return _LOOK.format(target=target)


@contextmanager
def refusing() -> Iterator[None]:
    """Our own refusals reach the visitor as their one line."""
    try:
        yield
    except VarSpacesError as error:
        raise refusal(str(error)) from None


def refusal(message: str) -> gr.Error:
    """One line for the visitor; nothing else, and no traceback in the log."""
    return gr.Error(escape(message, quote=False), print_exception=False)
