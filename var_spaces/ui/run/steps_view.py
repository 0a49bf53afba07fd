"""The strip of steps under an edit, undo, and what the last edit changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from var_spaces.errors import VarSpacesError
from var_spaces.tasks.base import MAIN
from var_spaces.tasks.plan import plan
from var_spaces.ui.form.form import Form
from var_spaces.ui.form.pictures import for_editor
from var_spaces.ui.queue.wiring import CAREFUL
from var_spaces.ui.run.steps import Steps, changes, strip
from var_spaces.ui.run.view import RunView
from var_spaces.ui.words import asked

SOURCE = f"inputs.{MAIN}"
CHOOSE = """element.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]");
  if (step) trigger("select", { number: Number(step.dataset.step) });
});"""


class StepsView:
    """It inside the current column.

    Args:
        source: where the picture is handed in that the next edit starts from.
    """

    def __init__(self, form: Form, source: gr.components.Component) -> None:
        self.form, self.source = form, source
        self.state = gr.State(Steps())
        self.strip = gr.HTML("", js_on_load=CHOOSE, elem_id=f"{form.tab}-steps", visible=False)
        self.undo = gr.Button(
            "Undo: back to the picture before",
            size="sm",
            visible=False,
            elem_id=f"{form.tab}-undo",
        )
        self.changes = gr.HTML(
            "", elem_id=f"{form.tab}-changes", elem_classes="vs-card", visible=False
        )

        # gradio hands over what is annotated with its own types
        def choose(steps: Steps, event: gr.EventData) -> list[Any]:
            return self._stand(steps.to(int(event.number)))

        outputs = [self.state, self.strip, self.undo, source]
        self.strip.select(choose, self.state, outputs, **CAREFUL)
        self.undo.click(lambda steps: self._stand(steps.undone()), self.state, outputs, **CAREFUL)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What changes with a run."""
        return [self.state, self.strip, self.undo, self.source, self.changes]

    def _stand(self, steps: Steps) -> list[Any]:
        image = steps.steps[steps.at].image
        masked = self.form.field(SOURCE).mask
        return [*self._shown(steps), for_editor(image) if masked else image]

    @staticmethod
    def _shown(steps: Steps) -> list[Any]:
        text = strip(steps)
        return [steps, gr.update(value=text, visible=bool(text)), gr.update(visible=steps.can_undo)]

    @staticmethod
    def same() -> list[Any]:
        """The outputs while nothing new is there."""
        return [gr.skip()] * 5

    def grown(self, steps: Steps, given: Mapping[str, Any], view: RunView) -> list[Any]:
        """The outputs after a finished run of the form's values.

        What said what to change goes on from its result; who painted a region may try again.
        """
        try:
            spec, pictures = self.form.request(given)
            planned = plan(spec)
            handed = planned.read_pictures(pictures)
        except VarSpacesError:  # a form that has changed meanwhile
            return self.same()
        task, image = planned.task, view.images[0]
        source = handed[task.source]
        label = " · ".join(asked(view.spec)) or task.title
        steps = steps.grown(source, image, label, view.spec.id)
        height, width = image.shape[:2]
        kept = task.kept(height, width, handed)
        text = changes(task.beside(height, width, handed), image, kept)
        *shown, picture = self._stand(steps)
        told = gr.update(value=text, visible=bool(text))
        return [*shown, picture if task.step else gr.skip(), told]

    def origin(self, steps: Steps, given: Mapping[str, Any]) -> str:
        """Id of the run that drew the picture which an edit starts from; empty if none did."""
        try:
            spec, pictures = self.form.request(given)
        except VarSpacesError:
            return ""
        key = spec.inputs.get(MAIN)
        return steps.drawn_by(pictures[key]) if key in pictures else ""
