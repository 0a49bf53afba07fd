"""Tabs that are built when somebody opens them: a visitor gets no more than is looked at.

What a tab begins with travels as text in a hidden control: nothing before it is opened, ``OPEN``
when it is opened empty, else what its builder reads: the runs of a link, say, or of a picture that
is to be compared (``js/onward.js``). New text builds the tab anew.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.ui.own.present import building
from var_spaces.ui.queue.wiring import QUICK, refusing

OPEN = "open"
_SENT = "varSpaces.sent('{name}') || wanted"  # what another tab hands over comes first
MOST_RUNS = 4
# seen until something follows it (css/1-page.css)
OPENING = '<p class="vs-note" role="status">This tab is being laid out.</p>'
_numbers = itertools.count(1)  # what was asked for before is new again


class Lazy:
    """A tab inside the current Blocks.

    What it is to begin with may be refused; then it says so in a line and begins as if it were
    opened empty.

    Args:
        name: of the tab.
        build: lays it out inside the current Blocks, to begin with what was read.
        read: reads the text, which comes from the browser and is to be trusted as little as any;
            empty when there is none. It raises ``VarSpacesError`` for what is refused.
        begin: JavaScript of that text, which knows what was ``wanted`` before; "" is nothing.
    """

    def __init__(
        self,
        name: str,
        title: str,
        build: Callable[[Any], Any],
        read: Callable[[str], Any],
        begin: str = _SENT,
    ) -> None:
        with gr.Tab(title, id=name, elem_id=f"tab-{name}") as tab:
            self.wanted = gr.Textbox(
                visible="hidden", label=f"{title}: begin with", elem_id=f"{name}-wanted"
            )
            gr.HTML(OPENING, elem_classes="vs-opening", apply_default_css=False)

            @gr.render(inputs=self.wanted, triggers=[self.wanted.change], show_progress="minimal")
            def show(wanted: str) -> None:
                with refusing(), building(name):
                    build(_begun(read, "" if wanted == OPEN else wanted or ""))

        wanted = f"(wanted) => {begin.format(name=name)} || '{OPEN}'"
        tab.select(None, self.wanted, self.wanted, js=wanted, **QUICK)

    @property
    def restored(self) -> list[gr.components.Component]:
        """What :meth:`restore` changes."""
        return [self.wanted]


class LazyRuns(Lazy):
    """A tab that a link can fill with its runs.

    Args:
        check: refuses runs that the tab does not take.
    """

    def __init__(
        self,
        name: str,
        title: str,
        build: Callable[[list[RunSpec]], Any],
        check: Callable[[Sequence[RunSpec]], Any] = lambda _: None,
    ) -> None:
        super().__init__(name, title, build, self.read)
        self.check = check

    def read(self, text: str) -> list[RunSpec]:
        """The runs of a text; see :func:`runs_of`."""
        runs = runs_of(text)
        if runs:
            self.check(runs)
        return runs

    def restore(self, *specs: RunSpec) -> list[Any]:
        """The tab built anew, filled with accepted specs.

        Raises:
            VarSpacesError: if it does not take them together.
        """
        self.check(specs)
        runs = [json.loads(spec.to_json()) for spec in specs]
        return [json.dumps({"runs": runs, "number": next(_numbers)})]


def _begun(read: Callable[[str], Any], text: str) -> Any:
    """What a text says; a refusal is shown in the current Blocks, and it says nothing then."""
    try:
        return read(text)
    except VarSpacesError as error:
        gr.HTML(f'<p class="vs-note" role="status">{escape(str(error))}</p>')
        return read("")


def runs_of(text: str) -> list[RunSpec]:
    """The runs that a tab begins with.

    Raises:
        VarSpacesError: if one of them is damaged.
    """
    if not text:
        return []
    found = codecs.parse_json(text, "What the tab begins with")
    runs = found.get("runs") if isinstance(found, dict) else None
    if not isinstance(runs, list) or len(runs) > MOST_RUNS:
        raise VarSpacesError("What the tab begins with is damaged: reload the page.")
    return [RunSpec.from_json(codecs.canonical(run)) for run in runs]
