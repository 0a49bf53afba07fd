"""The Subject tab: train on a few pictures of a thing, or let a model take it in from one."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from var_spaces.spec import RunSpec
from var_spaces.ui.own.tab import build_lesson
from var_spaces.ui.run import handlers
from var_spaces.ui.run.missing import missing
from var_spaces.ui.run.tab import build_tab

TAB = "subject"


def build_subject(specs: Sequence[RunSpec] = ()) -> None:
    """Lay out and wire both ways inside the current Blocks.

    Args:
        specs: an accepted run that fills the second one.
    """
    with gr.Tabs(selected="inject" if specs else "train", overflow_behavior="wrap"):
        with gr.Tab("Train on your pictures", id="train", elem_id="subject-train-tab"):
            build_lesson(TAB)
        with gr.Tab("Inject now, without training", id="inject", elem_id="subject-inject-tab"):
            if handlers.first_model(TAB):
                build_tab(TAB, specs[0] if specs else None)
            else:
                gr.HTML(missing(TAB), elem_classes="vs-card", elem_id="subject-missing")
