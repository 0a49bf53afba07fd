"""The visitor's models of one kind: to choose, take home, delete, and bring back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from var_spaces.ui.own import shelf
from var_spaces.ui.own.lessons import Lesson
from var_spaces.ui.own.present import follow, holder, present
from var_spaces.ui.own.take_home import link
from var_spaces.ui.own.visitors import own_folder, own_models
from var_spaces.ui.queue.wiring import CAREFUL, refusing

NOTE = (
    "What you train appears here and in the tabs Generate, Edit and Compare, as long as you visit. "
)
NOTE += "Download it to keep it."


class ShelfView:
    """The shelf inside the current column.

    Attributes:
        chosen: id of a model.
    """

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        names = list(own_models(lesson.adapter))

        def name(part: str) -> str:
            return f"{lesson.tab}-{part}"

        with gr.Group(elem_classes="vs-card"):
            self.chosen = gr.Dropdown(
                self._choices(),
                value=next(iter(names), None),
                label="Yours, for this visit",
                info=NOTE,
                interactive=True,
                elem_id=name("own"),
            )
            with gr.Row(elem_classes="vs-shelf"):
                self.link = gr.HTML(link(next(iter(names), "")), elem_id=name("own-download"))
                self.delete = gr.Button(
                    "Delete", size="sm", interactive=bool(names), elem_id=name("own-delete")
                )
                self.back = gr.UploadButton(
                    "Bring one back (zip)",
                    size="sm",
                    file_types=[".zip"],
                    type="filepath",
                    elem_id=name("own-back"),
                )
        self.chosen.change(self._links, self.chosen, [self.link, self.delete], **CAREFUL)
        own = [found] if (found := holder()) else []
        self.delete.click(_delete, self.chosen, own, **CAREFUL)
        self.back.upload(_bring, self.back, own, **CAREFUL)
        follow(self._refresh, [self.chosen, self.link, self.delete])

    def _choices(self) -> list[tuple[str, str]]:
        return [(named(card), name) for name, card in own_models(self.lesson.adapter).items()]

    def _refresh(self) -> list[Any]:
        """The latest model is chosen: what just came is what one wants to draw with."""
        choices = self._choices()
        first = choices[0][1] if choices else None
        return [gr.update(choices=choices, value=first), *self._links(first)]

    @staticmethod
    def _links(chosen: str | None) -> tuple[str, Any]:
        return link(chosen or ""), gr.update(interactive=bool(chosen))


def named(card: Any) -> str:
    """A model in a list: what it is, and the digits that tell it from its likes."""
    return f"{card.title} ({card.id[-4:]})"


def _delete(chosen: str) -> str:
    with refusing():
        shelf.remove(own_folder(), chosen or "")
        return present()


def _bring(path: str) -> str:
    with refusing():
        try:
            shelf.bring_back(own_folder(), Path(path))
        finally:
            with suppress(OSError):  # what is kept of it lies on the shelf
                Path(path).unlink()
        return present()
