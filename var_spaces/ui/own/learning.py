"""A training on the page, as a plain generator: one :class:`LearnView` per thing to be seen."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished
from var_spaces.ui.own import shelf
from var_spaces.ui.own.lessons import FEWEST_STEPS, LESSONS, MOST_STEPS, TRIED, Lesson
from var_spaces.ui.own.prompts import plain
from var_spaces.ui.queue.gpu import on_gpu
from var_spaces.ui.queue.limits import TRAIN_VARIABLE, train_seconds
from var_spaces.ui.queue.wiring import UNEXPECTED
from var_spaces.ui.run import pixels
from var_spaces.zoo.cards import Card, get_card

if TYPE_CHECKING:
    import numpy as np

    from var_spaces.zoo.residency import LoadedModel

OFTEN = 0.5  # seconds between two views
SEED = 7  # of the pictures that are drawn meanwhile: they differ by what was learned alone

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """Pictures, as data URIs, that were drawn after so many steps, one per prompt of the lesson."""

    step: int
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class LearnView:
    """State of a training.

    Attributes:
        phase: "empty", "loading", "running", "done", "stopped" (kept as it was) or "failed".
        seconds: since it began.
        losses: of all steps, by what they are of.
        model: id of the result.
        message: why it failed or ended early, in one line.
    """

    lesson: str
    phase: str = "empty"
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    losses: tuple[tuple[str, tuple[float, ...]], ...] = ()
    trials: tuple[Trial, ...] = ()
    model: str = ""
    message: str = ""

    @property
    def left(self) -> float:
        """Seconds that it will still take."""
        return self.seconds / self.step * (self.steps - self.step) if self.step else 0.0


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be learned.

    Attributes:
        folder: shelf that the result goes to.
        pictures: ``(H, W, 3)`` uint8 each, of any size; the model sees their middles.
        words: by the keys of the lesson.
        base: id of the model that learns.
        start: name of the settings to begin with.
        steps: None for those of the settings.
        run: name of this training, by which it can be asked to end.
    """

    lesson: str
    folder: Path
    pictures: tuple[np.ndarray, ...]
    words: Mapping[str, str]
    base: str
    start: str = "embedded"
    steps: int | None = None
    run: str = ""


def check(wanted: Wanted) -> Card:
    """The card of the model that learns.

    Raises:
        VarSpacesError: for anything that is refused, before any work.
    """
    if not train_seconds():
        raise VarSpacesError(
            f"This page does not train: its owner may allow it with {TRAIN_VARIABLE}. The command "
            "line does, see docs/subjects.md and docs/style.md."
        )
    LESSONS[wanted.lesson].check(wanted.pictures, wanted.words, wanted.start)
    if wanted.steps is not None and not FEWEST_STEPS <= wanted.steps <= MOST_STEPS:
        raise VarSpacesError(
            f"steps = {wanted.steps} is out of range: allowed is {FEWEST_STEPS} to {MOST_STEPS}."
        )
    card = get_card(wanted.base or "", "generator")
    shelf.check_room(wanted.folder)
    return card


@partial(on_gpu, longest=train_seconds)
def learn(wanted: Wanted) -> Iterator[LearnView]:
    """Train, draw now and then, keep the result; errors are views, too.

    When it is asked to stop (:func:`shelf.ask_to_stop`), when the time is over that the owner of
    the page allows, and when whoever listens goes away, what has been learned so far is kept.
    """
    view = LearnView(wanted.lesson, "loading")
    try:
        card = check(wanted)
        with shelf.filling(wanted.folder, wanted.run):
            yield view
            from var_spaces.zoo.residency import ZOO

            with ZOO.lease([card.id], None, text=True) as (base,):
                yield from _taught(wanted, base, view)
    except VarSpacesError as error:
        yield replace(view, phase="failed", message=str(error))
    except Exception:
        log.exception("A training failed.")
        yield replace(view, phase="failed", message=UNEXPECTED)


def _taught(wanted: Wanted, base: LoadedModel, view: LearnView) -> Iterator[LearnView]:
    from var_spaces.training.personal import as_batch

    lesson, most = LESSONS[wanted.lesson], train_seconds()
    pictures = as_batch(list(wanted.pictures), base.card.resolution)
    began = shown = time.monotonic()
    tuning = lesson.tune(base, pictures, wanted.words, wanted.start, wanted.steps)
    every = max(1, tuning.settings.steps // TRIED)
    losses: dict[str, list[float]] = {}
    phase, why = "done", ""
    try:
        with closing(tuning.run()) as steps:
            for at in steps:
                for name, loss in lesson.losses(at).items():
                    losses.setdefault(name, []).append(loss)
                last, now = at.step == at.steps, time.monotonic()
                if shelf.is_asked_to_stop(wanted.folder, wanted.run):
                    phase, why = "stopped", "You stopped it"
                elif now - began > most and not last:
                    phase, why = "stopped", f"{most} seconds are all that is allowed here"
                ended = last or phase == "stopped"
                view = replace(
                    view,
                    phase="running",
                    step=at.step,
                    steps=at.steps,
                    seconds=now - began,
                    losses=tuple((name, tuple(found)) for name, found in losses.items()),
                )
                if at.step % every == 0 or ended:
                    view = replace(view, trials=(*view.trials, _trial(lesson, base, tuning)))
                if now - shown > OFTEN or at.step == 1 or at.step % every == 0 or ended:
                    shown = now
                    yield view
                if ended:
                    break
    except GeneratorExit:  # the visitor left, and may come back
        if tuning.step:
            _keep(wanted, tuning, began)
        raise
    yield replace(view, phase=phase, model=_keep(wanted, tuning, began), message=why)


def _keep(wanted: Wanted, tuning: Any, began: float) -> str:
    seconds = round(time.monotonic() - began, 1)
    title = LESSONS[wanted.lesson].title(wanted.words)
    return shelf.keep(wanted.folder, title, lambda out: tuning.save(out, seconds=seconds))


def _trial(lesson: Lesson, base: LoadedModel, tuning: Any) -> Trial:
    """The prompts of the lesson, drawn with what has been learned so far."""
    return Trial(tuning.step, tuple(_drawn(base, tuning, prompt) for prompt in lesson.trials))


@dataclass(frozen=True, eq=False)
class _Held:
    """In the place of the zoo: a model that is being taught, which somebody else holds."""

    model: LoadedModel

    @contextmanager
    def lease(self, *_: Any, **__: Any) -> Iterator[list[LoadedModel]]:
        yield [self.model]


def _drawn(base: LoadedModel, tuning: Any, prompt: str) -> str:
    from var_spaces.tasks.plan import plan
    from var_spaces.tasks.run import run

    planned = replace(plan(plain(base.card, prompt, SEED)), adapter=tuning.adapter)
    taught = _Held(replace(base, adapter=tuning.own))
    with closing(run(planned, taught, pictures={})) as drawing:
        (image,) = next(e.images for e in drawing if isinstance(e, Finished))
    return pixels.preview(image)
