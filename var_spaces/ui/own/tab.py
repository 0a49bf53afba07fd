"""The tab of a lesson: pictures and words on one side, what is learned from them on the other."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from var_spaces.errors import VarSpacesError
from var_spaces.ui import tabs
from var_spaces.ui.own import examples, html, pictures, shelf
from var_spaces.ui.own.draw import build_drawing
from var_spaces.ui.own.learning import LearnView, Wanted, check, learn
from var_spaces.ui.own.lessons import FEWEST_STEPS, LESSONS, MOST_STEPS, Lesson, bases
from var_spaces.ui.own.present import holder, present
from var_spaces.ui.own.shelf_view import ShelfView
from var_spaces.ui.own.suggest import suggested
from var_spaces.ui.own.visitors import own_folder, session
from var_spaces.ui.queue.limits import train_seconds
from var_spaces.ui.queue.line import HERE
from var_spaces.ui.queue.wiring import CAREFUL, PICTURES, QUICK, refusal, refusing, runs
from var_spaces.ui.run import stage
from var_spaces.ui.run.screen import LIVE, in_parts
from var_spaces.zoo.cards import Card

CROPS = "varSpaces.crops(element, props, watch);"
CANCEL = "(busy) => {{ if (!busy) document.getElementById('{name}-cancel').click(); }}"
ABOUT = {
    "subject": """<h2>Your own thing, somewhere else</h2><p>Hand in one to five pictures of one
thing and say what it is. A copy of some layers learns what it looks like (ARBooth), in a minute or
two on this computer; the model itself stays as it is. Then <code>&lt;it&gt;</code> in a prompt is
your thing: here, and in the tabs Generate, Edit and Compare.</p>""",
    "style": """<h2>What it shows, and how it is drawn</h2><p>Hand in one picture and give it two
words. The model learns its content and its style apart (CSD-VAR). Then
<code>&lt;content&gt;</code> in a prompt is what it shows and <code>&lt;style&gt;</code> how it is
drawn: that thing in other styles, other things in that style.</p>""",
}
HINT = {
    "subject": "Your thing: one to five pictures of it; four on different backgrounds do best.",
    "style": "One picture: a single thing, drawn in a style of its own, does best.",
}


class Bench:
    """Everything that is handed in for a lesson, inside the current column."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson, known = lesson, bases()
        self._hand_in()
        self._samples()
        self._buttons(bool(known) and bool(train_seconds()))
        self._settings(known)

    def _id(self, part: str) -> str:
        return f"{self.lesson.tab}-{part}"

    def _hand_in(self) -> None:
        """Where pictures and words for them go."""
        lesson = self.lesson
        with gr.Group(elem_classes="vs-card"):
            gr.HTML(HINT[lesson.tab], elem_classes="vs-note vs-hint")
            self.files = gr.File(
                show_label=False,
                label="Pictures",
                file_count="multiple" if lesson.most > 1 else "single",
                file_types=[".png", ".jpg", ".jpeg", ".webp"],
                height=130,
                elem_id=self._id("files"),
            )
            self.crops = gr.HTML(
                None,
                html_template='<div class="vs-crops"></div>',
                js_on_load=CROPS,
                apply_default_css=False,
                elem_id=self._id("crops"),
            )
            with gr.Row(elem_classes="vs-inputs"):
                self.words = [
                    gr.Textbox(
                        label=word.label,
                        placeholder=word.placeholder,
                        max_lines=1,
                        elem_id=self._id(word.key),
                    )
                    for word in lesson.words
                ]
            self.note = gr.HTML(
                elem_id=self._id("note"), elem_classes="vs-note vs-hint", visible=False
            )

    def _samples(self) -> None:
        """Pictures that come along."""
        with gr.Row(elem_classes="vs-chips"):
            gr.HTML("Try one:", elem_classes="vs-chips-label")
            self.chips = [
                gr.Button(
                    example.label,
                    size="sm",
                    elem_classes="vs-chip",
                    elem_id=self._id(f"sample-{number}"),
                )
                for number, example in enumerate(examples.EXAMPLES[self.lesson.tab])
            ]

    def _buttons(self, offered: bool) -> None:
        with gr.Row(elem_classes="vs-buttons"):
            self.go = gr.Button(
                "Train" if self.lesson.most > 1 else "Separate",
                variant="primary",
                interactive=offered,
                scale=2,
                elem_id=self._id("train"),
            )
            self.stop = gr.Button(
                "Stop",
                variant="stop",
                interactive=False,
                scale=1,
                min_width=96,
                elem_id=self._id("train-stop"),
            )
        self.cancel = gr.Button("Leave the line", visible="hidden", elem_id=self._id("cancel"))

    def _settings(self, known: Mapping[str, Card]) -> None:
        with gr.Accordion("How it learns", open=False):
            self.base = gr.Dropdown(
                [(card.title, card.id) for card in known.values()],
                value=next(iter(known), None),
                label="Model that learns",
                elem_id=self._id("base"),
            )
            self.start = gr.Dropdown(
                [(f"{key}: {text}", key) for key, text in self.lesson.starts.items()],
                value=next(iter(self.lesson.starts)),
                label="Settings to begin with",
                elem_id=self._id("start"),
            )
            self.steps = gr.Number(
                None,
                label="Steps",
                info=f"Empty: as many as the settings say. {FEWEST_STEPS} to {MOST_STEPS}.",
                precision=0,
                elem_id=self._id("steps"),
            )

    @property
    def inputs(self) -> list[gr.components.Component]:
        return [self.files, self.crops, *self.words, self.base, self.start, self.steps]


def build_lesson(name: str) -> None:
    """Lay out and wire the lesson of a tab inside the current Blocks."""
    lesson, own = LESSONS[name], holder()
    view = LearnView(name)
    gr.HTML(tabs.about(name), apply_default_css=False)
    with gr.Row(elem_classes="vs-tab"):
        with gr.Column(scale=5, min_width=300, elem_classes="vs-form"):
            bench = Bench(lesson)
            taken = ShelfView(lesson)
        with gr.Column(scale=11, min_width=320, elem_classes="vs-screen"):
            status = gr.HTML(_ready(view), elem_id=f"{name}-train-status", js_on_load=LIVE)
            body = in_parts(html.LAYOUT, html.parts(view, ABOUT[name]), f"{name}-learning")
            build_drawing(lesson, taken)
    run = runs(
        [bench.go.click],
        partial(_teach, lesson, own is not None),
        bench.inputs,
        [status, body, *([own] if own else [])],
        status=status,
        stop=bench.stop,
        lane=HERE,
    )
    asked = gr.State(False)
    leave = CANCEL.format(name=name)
    stopping = bench.stop.click(partial(_stop, lesson), None, [asked, status], **CAREFUL)
    stopping.success(None, asked, None, js=leave, **QUICK)
    bench.cancel.click(stage.stopped, status, status, cancels=[run], **QUICK)
    bench.files.change(
        partial(_look, lesson),
        [bench.files, *bench.words],
        [bench.crops, *bench.words, bench.note],
        **PICTURES,
    )
    for number, chip in enumerate(bench.chips):
        chip.click(partial(_sample, lesson, number), None, [bench.files, *bench.words], **CAREFUL)


def _ready(view: LearnView) -> str:
    if train_seconds():
        return html.status(view)
    said = "<b>This page does not train.</b> Bring back what was learned elsewhere: it draws."
    return stage.line("notice", said, 0.0)


def _paths(files: Any) -> list[str]:
    return [files] if isinstance(files, str) else list(files or ())


def _look(lesson: Lesson, files: Any, *words: str) -> list[Any]:
    """What was handed in, to be cut; and words for it, where there are none yet."""
    with refusing():
        found = pictures.read(_paths(files), lesson.most)
        guess = suggested(found) if found else {}
        filled = [
            word if word.strip() else guess.get(wanted.seen, "")
            for word, wanted in zip(words, lesson.words, strict=True)
        ]
        new = [w for w, old in zip(filled, words, strict=True) if w and not old.strip()]
        note = f"Looks like: {', '.join(new)}. Say it better if you can." if new else ""
        return [pictures.shown(found), *filled, gr.update(value=note, visible=bool(note))]


def _sample(lesson: Lesson, number: int) -> Iterator[list[Any]]:
    """Pictures of an example as files, as if they had been handed in."""
    example = examples.EXAMPLES[lesson.tab][number]
    with refusing(), tempfile.TemporaryDirectory(prefix="var-spaces-") as folder:
        paths = []
        for at, pixels in enumerate(examples.pictures(example), 1):
            path = Path(folder) / f"{example.concept}-{at}.png"
            Image.fromarray(pixels).save(path)
            paths.append(str(path))
        files = paths if lesson.most > 1 else paths[0]
        yield [files, *(example.words[word.key] for word in lesson.words)]


def _teach(lesson: Lesson, tell: bool, files: Any, crops: Any, *rest: Any) -> Iterator[tuple]:
    """Train; closing it keeps what was learned.

    Args:
        tell: whether the last output is told which models the visitor has.
    """
    words, (base, start, steps) = rest[: len(lesson.words)], rest[len(lesson.words) :]
    try:
        found = pictures.read(_paths(files), lesson.most)
        cut = map(pictures.cut, found, pictures.chosen(crops, len(found)))
        named = {w.key: str(given).strip() for w, given in zip(lesson.words, words, strict=True)}
        steps = int(steps) if steps else None
        wanted = Wanted(
            lesson.tab, own_folder(), tuple(cut), named, base, start, steps, _run(lesson)
        )
        check(wanted)
    except VarSpacesError as error:
        view = LearnView(lesson.tab, "failed", message=str(error))
        yield (html.status(view), *[gr.skip()] * (1 + tell))
        raise refusal(str(error)) from None
    with closing(learn(wanted)) as views:
        for view in views:
            kept = [present() if view.model else gr.skip()] * tell
            yield (html.status(view), html.parts(view, ABOUT[lesson.tab]), *kept)
            if view.phase == "failed":
                raise refusal(view.message)


def _run(lesson: Lesson) -> str:
    """Name of the training of a lesson on the present page, which has one at a time."""
    return hashlib.sha256(f"{lesson.tab} {session()}".encode()).hexdigest()


def _stop(lesson: Lesson) -> tuple[bool, Any]:
    """Ask the training to end, if it is running and not waiting; then it ends after its step."""
    with refusing():
        busy = shelf.ask_to_stop(own_folder(), _run(lesson))
        said = "<b>Stopping.</b> What has been learned so far is being kept."
        return busy, stage.line("running", said, 1.0) if busy else gr.skip()
