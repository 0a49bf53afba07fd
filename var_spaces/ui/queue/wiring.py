"""How events of all tabs are wired: quiet small things, runs in the line, our refusals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from itertools import count
from typing import Any

import gradio as gr
from gradio.events import Dependency

from var_spaces.errors import VarSpacesError
from var_spaces.ui.queue.line import LANE

UNEXPECTED = "Something went wrong on this computer; its log says what. Please try again."

log = logging.getLogger(__name__)

HIDDEN = {"api_visibility": "private", "show_progress": "hidden"}
QUICK = {**HIDDEN, "queue": False}  # for what cannot fail: the queue is what reports errors
CAREFUL = {**HIDDEN, "concurrency_limit": None}
# For what works on pictures as large as they may be: hundreds of megabytes each.
PICTURES = {**HIDDEN, "concurrency_id": "pictures", "concurrency_limit": 2}
PRIVATE_LANE = {**HIDDEN, **LANE}

# Buttons are switched in the browser (js/stop.js): no answer of the server can come too late.
SWITCH = "() => varSpaces.runs('{stop}', '{what}')"
FILLS = "varSpaces.fills({number}, '{go}', '{what}')"
_numbers = count()

# Hands its arguments on.
_SENT = '(...values) => {{ varSpaces.runs("{stop}", "sent"); {more}return values; }}'


def runs(
    starts: Sequence[Callable],
    draw: Callable,
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    *,
    named: Mapping[str, gr.components.Component] | None = None,
    status: gr.HTML,
    stop: gr.Button,
    js: str | None = None,
    lane: Mapping[str, Any] = LANE,
) -> Dependency:
    """Draw at any of some events, once at a time, in the line of all runs.

    Stop can be pressed from the start of a run, waiting included, until it ends, however it ends;
    what else a press does is for the caller to say.

    Args:
        named: more inputs, which ``draw`` takes by these names.
        status: says where the run is, and what place it has in the line.
        js: gives the inputs that the run gets, if not those of the controls; and see :func:`sent`.
        lane: ``HERE`` for what is done on this computer wherever runs are drawn.
    """
    for start in starts:
        start(None, None, stop, js=SWITCH.format(stop=stop.elem_id, what="begins"), **QUICK)
    run = gr.on(
        starts,
        draw,
        inputs,
        outputs,
        inputs_kwargs=named,
        js=js or sent(stop, status),
        api_visibility="private",
        show_progress="full",
        show_progress_on=status,
        trigger_mode="once",
        **lane,
    )
    for end in (run.then, run.failure, stop.click):
        end(None, None, stop, js=SWITCH.format(stop=stop.elem_id, what="ends"), **QUICK)
    return run


def fills(
    event: Callable,
    *args: Any,
    go: gr.Button | None = None,
    when: str = "true",
    **options: Any,
) -> Dependency:
    """Fill a form at an event, with what gradio's own call takes. A press of the form's button
    while the server does so means the form that is to come, and waits for it (js/fills.js).

    Args:
        go: the button; None for those of all forms.
        when: JavaScript that tells whether the event will fill anything.
    """
    told = FILLS.format(number=next(_numbers), go=go.elem_id if go else "", what="{what}")
    begins = f"(...values) => {{ if ({when}) {told.format(what='begins')}; return values; }}"
    options = {"trigger_mode": "always_last", **CAREFUL, "js": begins, **options}
    filled = event(*args, **options)
    for ended, what in ((filled.then, "ends"), (filled.failure, "fails")):
        ended(None, None, None, js=f"() => {told.format(what=what)}", **QUICK)
    return filled


def sent(stop: gr.Button, status: gr.HTML | None = None) -> str:
    """JavaScript for when a run is sent: Stop will reach it, and its status is in view."""
    more = f'varSpaces.bring("{status.elem_id}"); ' if status else ""
    return _SENT.format(stop=stop.elem_id, more=more)


@contextmanager
def refusing() -> Iterator[None]:
    """Our own refusals reach the visitor as their one line; of all else the log tells."""
    try:
        yield
    except VarSpacesError as error:
        raise refusal(str(error)) from None
    except (gr.Error, GeneratorExit):
        raise
    except Exception:
        log.exception("A request failed.")
        raise refusal(UNEXPECTED) from None


def refusal(message: str) -> gr.Error:
    """One line for the visitor; nothing else, and no traceback in the log."""
    return gr.Error(escape(message, quote=False), print_exception=False)
