"""Several runs of one tab: they wait in the visitor's browser and come here one at a time.

So a visitor may ask for a dozen runs and still takes turns with all others, whose limits
(``limits.py``) hold for what comes here. The browser's part is ``js/line.js``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import gradio as gr
from gradio.events import Dependency

from var_spaces.ui.queue.wiring import QUICK, runs, sent

PLACES = ("model", "seed", "count", "first")
JOIN = "(...values) => {{ varSpaces.line.join('{name}', {places}, values); }}"
TAKE = "(...values) => ({sent})(...varSpaces.line.take('{name}', values))"
ENDED = "() => {{ varSpaces.line.ended('{name}', '{how}'); }}"
STOPPING = "() => {{ varSpaces.line.stopping('{name}'); }}"
SHOW = "varSpaces.line.show(element.querySelector('.vs-line'), '{name}');"


def line_view(name: str) -> None:
    """What waits in the line of a tab, inside the current column."""
    gr.HTML('<div class="vs-line" hidden></div>', js_on_load=SHOW.format(name=name))


def lined_up(
    name: str,
    starts: Sequence[Callable],
    draw: Callable,
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    *,
    named: Mapping[str, gr.components.Component],
    status: gr.HTML,
    stop: gr.Button,
    stopped: tuple[Callable, Sequence[gr.components.Component], Sequence[gr.components.Component]],
) -> Dependency:
    """As :func:`~var_spaces.ui.queue.wiring.runs`, but what comes while a run is drawn waits.

    Args:
        name: of the tab, before the ids of its elements.
        named: more inputs, which ``draw`` takes by these names; those of :data:`PLACES` say what
            the line tells of a run, and what differs between variations.
        stopped: function, inputs and outputs of a press on Stop, which ends the run that is drawn.
    """
    values = [*inputs, *named.values()]
    places = {key: len(inputs) + at for at, key in enumerate(named) if key in PLACES}
    join = JOIN.format(name=name, places=json.dumps(places))
    following = gr.Button("Next run of the line", visible="hidden", elem_id=f"{name}-next")
    for start in starts:
        start(None, values, None, js=join, **QUICK)
    # a status comes into view when its run is asked for, not when others end: somebody may type
    take = TAKE.format(name=name, sent=sent(stop))
    run = runs(
        [following.click], draw, inputs, outputs, named=named, status=status, stop=stop, js=take
    )
    for end, how in ((run.then, "done"), (run.failure, "failed")):
        end(None, None, None, js=ENDED.format(name=name, how=how), **QUICK)
    stop.click(None, None, None, js=STOPPING.format(name=name), **QUICK)
    shown = stop.click(*stopped, cancels=[run], **QUICK)
    shown.then(None, None, None, js=ENDED.format(name=name, how="stopped"), **QUICK)
    return run
